using System.Text.Json.Serialization;

namespace FastLB.Admin;

/// <summary>Reads and writes the status without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(ServerStatus))]
[JsonSerializable(typeof(StrategyWish))]
internal sealed partial class StatusJson : JsonSerializerContext;
