namespace FastLB.Core.Http;

public enum ParseStatus : byte
{
    /// <summary>The whole head is there.</summary>
    Done,

    /// <summary>So far all is well; more bytes are needed.</summary>
    Partial,

    /// <summary>No bytes to come can make this a message that we accept; the reason says why.</summary>
    Invalid,
}

/// <summary>
/// Why a message is refused. Each has one status and one sentence for the person at the other end
/// (<see cref="RefusalText"/>), so a log line, an answer and a test speak of the same thing.
/// </summary>
public enum Refusal : byte
{
    None,

    // The request line.
    MethodMalformed,
    MethodTooLong,
    TargetMalformed,
    TargetTooLong,
    VersionMalformed,
    VersionUnsupported,
    NotHttp,

    // Header lines.
    HeadTooLarge,
    TooManyHeaders,
    HeaderNameMalformed,
    SpaceBeforeColon,
    LineFolding,
    BareLineFeed,
    BareCarriageReturn,
    ControlByteInValue,

    // Meaning.
    HostMissing,
    HostDuplicate,
    HostMalformed,
    ContentLengthMalformed,
    ContentLengthConflict,
    LengthAndEncoding,
    TransferEncodingInHttp10,
    TransferEncodingMalformed,
    TransferEncodingUnknown,
    ChunkedNotLast,
    ChunkedRepeated,
    LengthRequired,
    BodyTooLarge,
    ConnectNotAllowed,
    ExpectationUnknown,
    TooManyConnectionOptions,

    // Chunks.
    ChunkSizeMalformed,
    ChunkSizeTooLarge,
    ChunkExtensionMalformed,
    ChunkExtensionTooLong,
    ChunkEndMissing,
    TrailersTooLong,
    TrailerMalformed,

    // Responses.
    StatusLineMalformed,
}
