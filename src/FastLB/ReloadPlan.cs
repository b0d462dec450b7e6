using FastLB.Core.Balancing;
using FastLB.Core.Proxy;
using FastLB.Fleet;

namespace FastLB;

internal enum PoolChangeKind
{
    Same,

    /// <summary>It goes on where it stands, with other settings.</summary>
    Applied,

    /// <summary>What guards it is another, so another pool takes its place and its workers.</summary>
    Replaced,
    Added,
    Removed,
}

/// <summary>What becomes of one pool.</summary>
/// <param name="Run">How its processes are run from now on; null when FastLB runs none or the pool goes.</param>
/// <param name="RunBefore">How they were run, or null.</param>
internal sealed record PoolChange(string Name, PoolChangeKind Kind, PoolSettings? Settings, RunSettings? Run, RunSettings? RunBefore);

/// <summary>
/// The difference between two configurations: what stays, what changes where it stands, what comes and what goes. Settings are values, so what says the same is
/// the same, wherever it stands in the file. Pure.
/// </summary>
internal sealed class ReloadPlan
{
    private ReloadPlan(Settings before, Settings after)
    {
        Pools =
        [
            .. after.Pools.Select(pool => Compare(before, after, pool)),
            .. before.Pools.Where(pool => after.Pools.All(p => p.Name != pool.Name)).Select(pool => new PoolChange(pool.Name, PoolChangeKind.Removed, null, null, RunOf(before, pool.Name))),
        ];
        Kept = [.. after.Listeners.Where(l => before.Listeners.Any(b => HasSameSockets(b, l)))];
        Added = [.. after.Listeners.Where(l => !before.Listeners.Any(b => HasSameSockets(b, l)))];
        Removed = [.. before.Listeners.Where(b => !after.Listeners.Any(l => HasSameSockets(b, l)))];
        ChangedListeners = [.. Kept.Where(l => !before.Listeners.Contains(l))];
        AtNextStart = [.. Unreloadable(before, after)];
    }

    public IReadOnlyList<PoolChange> Pools { get; }

    /// <summary>Listeners that keep their sockets, with their settings from now on.</summary>
    public IReadOnlyList<ListenerSettings> Kept { get; }

    /// <summary>Those of <see cref="Kept"/> of which anything is new.</summary>
    public IReadOnlyList<ListenerSettings> ChangedListeners { get; }

    public IReadOnlyList<ListenerSettings> Added { get; }

    public IReadOnlyList<ListenerSettings> Removed { get; }

    /// <summary>What cannot change while FastLB runs, as people know it.</summary>
    public IReadOnlyList<string> AtNextStart { get; }

    public static ReloadPlan Between(Settings before, Settings after) => new(before, after);

    /// <summary>What it comes to, as one clause for the log.</summary>
    public string Describe()
    {
        var parts = new List<string>();
        var reopened = Added.Select(l => l.Bind).Intersect(Removed.Select(l => l.Bind)).ToHashSet();
        Add("added listener", Added.Where(l => !reopened.Contains(l.Bind)).Select(l => l.Bind.ToString()));
        Add("removed listener", Removed.Where(l => !reopened.Contains(l.Bind)).Select(l => l.Bind.ToString()));
        Add("reopened listener", reopened.Select(bind => bind.ToString()));
        Add("changed listener", ChangedListeners.Select(l => l.Bind.ToString()));
        Add("added pool", Named(PoolChangeKind.Added));
        Add("removed pool", Named(PoolChangeKind.Removed));
        Add("changed pool", Pools.Where(p => p.Kind is PoolChangeKind.Applied or PoolChangeKind.Replaced || (p.Kind == PoolChangeKind.Same && p.Run != p.RunBefore)).Select(p => p.Name));
        return parts.Count == 0 ? "nothing has changed" : string.Join("; ", parts);

        void Add(string what, IEnumerable<string> names)
        {
            var list = names.ToArray();
            if (list.Length > 0)
            {
                parts.Add($"{what}{(list.Length == 1 ? "" : "s")} {string.Join(", ", list)}");
            }
        }
    }

    /// <summary>
    /// Whether one may go on with the sockets of the other. Options of a socket are set when it is opened; on a path, and on a socket that was given, there cannot
    /// be two, so there they change at the next start.
    /// </summary>
    public static bool HasSameSockets(ListenerSettings one, ListenerSettings other) =>
        one.Bind.Equals(other.Bind) && one.Protocol == other.Protocol && one.ClientSpeaksFirst == other.ClientSpeaksFirst && (one.Bind.IsUnix || one.Bind.IsInherited || one.Socket == other.Socket);

    private static PoolChange Compare(Settings before, Settings after, PoolSettings pool)
    {
        var present = before.Pools.FirstOrDefault(p => p.Name == pool.Name);
        var kind = present is null ? PoolChangeKind.Added
            : present == pool ? PoolChangeKind.Same
            : Pool.CanApply(present, pool) ? PoolChangeKind.Applied
            : PoolChangeKind.Replaced;
        return new PoolChange(pool.Name, kind, pool, RunOf(after, pool.Name), RunOf(before, pool.Name));
    }

    private static RunSettings? RunOf(Settings settings, string name) => settings.Runs.FirstOrDefault(r => r.PoolName == name);

    private static IEnumerable<string> Unreloadable(Settings before, Settings after)
    {
        if (before.Engine != after.Engine)
        {
            yield return "engine";
        }

        if (before.Loops != after.Loops)
        {
            yield return "loops";
        }

        if (!before.Spin.Equals(after.Spin))
        {
            yield return "spin";
        }

        if (before.IsWatched != after.IsWatched)
        {
            yield return "watch";
        }

        if (!Equals(before.Admin, after.Admin))
        {
            yield return "admin";
        }

        if (!Equals(before.AccessLog, after.AccessLog))
        {
            yield return "accessLog (what a listener says of it can change)";
        }
    }

    private IEnumerable<string> Named(PoolChangeKind kind) => Pools.Where(p => p.Kind == kind).Select(p => p.Name);
}
