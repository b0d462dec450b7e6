using FastLB.Stories;

namespace FastLB.Tests.Programs;

/// <summary>Nothing has failed.</summary>
internal sealed class NoStories : IRequestStories
{
    public RequestStory? Find(ulong id) => null;

    public IReadOnlyList<RequestStory> Latest(int count) => [];
}
