using System.Text.Json.Serialization;

namespace FastLB.Admin;

/// <summary>Reads and writes the status without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(ServerStatus))]
[JsonSerializable(typeof(StrategyWish))]
[JsonSerializable(typeof(Stories.RequestStory))]
[JsonSerializable(typeof(IReadOnlyList<Stories.RequestStory>))]
internal sealed partial class StatusJson : JsonSerializerContext;
