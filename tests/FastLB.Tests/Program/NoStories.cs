using FastLB.Stories;

namespace FastLB.Tests.Programs;

/// <summary>Nothing has failed.</summary>
internal sealed class NoStories : IRequestStories
{
    public RequestStory? Find(string id) => null;

    public IReadOnlyList<RequestStory> Latest(int count) => [];
}
