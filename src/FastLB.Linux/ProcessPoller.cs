using System.Runtime.InteropServices;
using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>Something that <see cref="ProcessPoller"/> waits for: a process's end or its output.</summary>
public abstract unsafe class PolledDescriptor
{
    private protected PolledDescriptor(int descriptor) => Descriptor = descriptor;

    /// <summary>Whom it concerns; set and read by the user of the poller.</summary>
    public object? Owner { get; set; }

    /// <summary>-1 after closing.</summary>
    internal int Descriptor { get; private set; }

    /// <summary>The place in the poller's table, or -1.</summary>
    internal int Place { get; set; } = -1;

    /// <summary>Whether it is readable now. For a process: whether it has exited.</summary>
    public bool IsReadable
    {
        get
        {
            Invariant.That(Descriptor >= 0, "a closed descriptor is not asked");
            var entry = new Libc.PollDescriptor { Descriptor = Descriptor, Events = Libc.POLLIN };
            return Libc.Poll(&entry, 1, 0) > 0;
        }
    }

    private protected void CloseDescriptor()
    {
        Invariant.That(Place < 0, "a watched descriptor is forgotten before it is closed");
        if (Descriptor >= 0)
        {
            _ = Libc.Close(Descriptor);
            Descriptor = -1;
        }
    }
}

/// <summary>
/// Waits with poll(2) for processes to end and for their output. One thread owns it; only <see cref="Wake"/> may come from others.
/// poll and not epoll, because a fleet has tens of descriptors and few events.
/// </summary>
public sealed unsafe class ProcessPoller : IDisposable
{
    private readonly List<PolledDescriptor> _ready = [];
    private readonly Lock _wakeLock = new();
    private readonly int _wakeReadEnd;
    private int _wakeWriteEnd;
    private bool _wakePending;
    private Libc.PollDescriptor[] _entries = new Libc.PollDescriptor[16];
    private PolledDescriptor?[] _watched = new PolledDescriptor?[16];
    private int _count = 1;

    /// <exception cref="IOException">The process has no descriptors left.</exception>
    public ProcessPoller()
    {
        var result = ChildProcess.CreatePipe(out _wakeReadEnd, out _wakeWriteEnd);
        if (result < 0)
        {
            throw new IOException($"cannot create a pipe: {Marshal.GetPInvokeErrorMessage(-result)}");
        }

        _entries[0] = new Libc.PollDescriptor { Descriptor = _wakeReadEnd, Events = Libc.POLLIN };
    }

    /// <summary>What the last <see cref="Wait"/> found, valid until the next one.</summary>
    public IReadOnlyList<PolledDescriptor> Ready => _ready;

    public void Watch(PolledDescriptor descriptor)
    {
        Invariant.That(descriptor.Place < 0 && descriptor.Descriptor >= 0, "an open descriptor is watched once");
        if (_count == _entries.Length)
        {
            Array.Resize(ref _entries, _count * 2);
            Array.Resize(ref _watched, _count * 2);
        }

        descriptor.Place = _count;
        _watched[_count] = descriptor;
        _entries[_count] = new Libc.PollDescriptor { Descriptor = descriptor.Descriptor, Events = Libc.POLLIN };
        _count++;
    }

    /// <summary>Ends the watch; forgetting what is not watched does nothing.</summary>
    public void Forget(PolledDescriptor descriptor)
    {
        var place = descriptor.Place;
        if (place < 0)
        {
            return;
        }

        var last = _count - 1;
        _entries[place] = _entries[last];
        _watched[place] = _watched[last];
        _watched[place]!.Place = place;
        _watched[last] = null;
        descriptor.Place = -1;
        _count--;
    }

    /// <summary>Waits until something is ready, somebody calls <see cref="Wake"/>, or the time has passed (-1: no limit).</summary>
    public void Wait(int timeoutMs)
    {
        _ready.Clear();
        int result;
        fixed (Libc.PollDescriptor* entries = _entries)
        {
            result = Libc.Poll(entries, _count, timeoutMs);
        }

        if (result == -Libc.EINTR)
        {
            return;
        }

        Invariant.That(result >= 0, "poll takes the poller's own descriptors");
        if (_entries[0].Returned != 0)
        {
            TakeWake();
        }

        for (var place = 1; place < _count; place++)
        {
            if (_entries[place].Returned != 0)
            {
                _ready.Add(_watched[place]!);
            }
        }
    }

    /// <summary>Ends the current or the next <see cref="Wait"/>. Safe from every thread, also after <see cref="Dispose"/>.</summary>
    public void Wake()
    {
        lock (_wakeLock)
        {
            // At most one byte stands in the pipe, so the write never blocks.
            if (_wakePending || _wakeWriteEnd < 0)
            {
                return;
            }

            byte one = 1;
            _wakePending = Libc.Write(_wakeWriteEnd, &one, 1) == 1;
        }
    }

    public void Dispose()
    {
        lock (_wakeLock)
        {
            if (_wakeWriteEnd >= 0)
            {
                _ = Libc.Close(_wakeWriteEnd);
                _ = Libc.Close(_wakeReadEnd);
                _wakeWriteEnd = -1;
            }
        }
    }

    private void TakeWake()
    {
        lock (_wakeLock)
        {
            byte taken;
            _ = Libc.Read(_wakeReadEnd, &taken, 1);
            _wakePending = false;
        }
    }
}
