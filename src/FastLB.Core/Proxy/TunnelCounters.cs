namespace FastLB.Core.Proxy;

/// <summary>What one loop counts of a pool's upgraded connections. Only the loop writes; any thread may read.</summary>
public sealed class TunnelCounters : OwnCacheLines
{
    /// <summary>Connections that were upgraded, and those of them that are open.</summary>
    public long Opened;
    public long Open;

    /// <summary>Those of them that are WebSockets, and how many of these were told to close.</summary>
    public long WebSockets;
    public long ToldToClose;
    public long BytesFromClients;
    public long BytesToClients;

    /// <summary>Whole messages of WebSockets, control frames excepted.</summary>
    public long MessagesFromClients;
    public long MessagesToClients;
}
