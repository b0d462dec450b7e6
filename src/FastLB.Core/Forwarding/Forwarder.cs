using System.Globalization;
using System.Text;
using FastLB.Core.Http;
using FastLB.Core.Loop;

namespace FastLB.Core.Forwarding;

/// <summary>
/// One loop's part of a listener's forwarding: who a request's client is, and the lines that tell its worker. Only listeners have one whose settings
/// differ from the default, and only requests pay for it that it <see cref="Concerns"/>. It owns the memory that it writes lines into, so one loop's thread alone uses it.
/// </summary>
internal sealed class Forwarder
{
    private readonly byte[] _scratch = new byte[MessageHead.MaxBytes + 4096];
    private readonly byte[] _portLine;
    private readonly byte[] _by;
    private readonly bool _concernsAll;

    /// <param name="settings">What is to be done.</param>
    /// <param name="port">Where clients connect to.</param>
    private Forwarder(ForwardingSettings settings, int port)
    {
        Settings = settings;
        _concernsAll = settings with { TrustedProxies = NetworkSet.Empty } != ForwardingSettings.Default;
        _by = Encoding.ASCII.GetBytes(settings.By ?? "");
        _portLine = settings.Port ? Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"X-Forwarded-Port: {port}\r\n")) : [];
    }

    public ForwardingSettings Settings { get; }

    private bool WritesXForwarded => Settings.Style is ForwardedStyle.XForwarded or ForwardedStyle.Both;

    private bool WritesForwarded => Settings.Style is ForwardedStyle.Rfc7239 or ForwardedStyle.Both;

    /// <summary>Null where requests are forwarded in the usual way, which costs nothing then.</summary>
    public static Forwarder? Of(ForwardingSettings settings, int port) => settings == ForwardingSettings.Default ? null : new Forwarder(settings, port);

    /// <summary>Whether a request of this peer is forwarded in any other than the usual way.</summary>
    public bool Concerns(in ClientAddress peer) => _concernsAll || Trusts(peer);

    public bool Trusts(in ClientAddress peer) => Settings.TrustedProxies.Contains(peer);

    /// <summary>Whose request it is. One header alone says that; with both it is X-Forwarded-For, which no proxy forgets.</summary>
    public ClientAddress ClientOf(in ClientAddress peer, ReadOnlySpan<byte> source, MessageHead head)
    {
        if (!Trusts(peer))
        {
            return peer;
        }

        return Settings.Style == ForwardedStyle.Rfc7239
            ? ClientChain.ByForwarded(peer, source, head, Settings.TrustedProxies)
            : ClientChain.ByForwardedFor(peer, source, head, Settings.TrustedProxies);
    }

    /// <summary>Finds or makes the request's id, if it gets one, and takes away the client's line, for which <see cref="WriteLines"/> writes another.</summary>
    public void Identify(in ClientAddress peer, ReadOnlySpan<byte> source, MessageHead head, RandomSource random, ref RequestId id)
    {
        if (Settings.RequestId == RequestIdMode.Off)
        {
            return;
        }

        var count = 0;
        var accepted = false;
        for (var i = 0; i < head.HeaderCount; i++)
        {
            if (IsNamed(source, head, i, "x-request-id"u8))
            {
                var line = head.Headers[i];
                accepted = count++ == 0 && id.TryAccept(source.Slice(line.ValueStart, line.ValueLength));
                head.Supersede(i);
            }
        }

        if (!accepted || !(Settings.RequestId == RequestIdMode.AcceptAll || (Settings.RequestId == RequestIdMode.Accept && Trusts(peer))))
        {
            id.Make(random);
        }
    }

    /// <summary>
    /// The lines that take the place of the usual forwarding headers; what they continue is taken out of <paramref name="head"/>. Valid until
    /// the next call. False when they are longer than a head may be.
    /// </summary>
    public bool TryWriteLines(
        in ClientAddress peer, ReadOnlySpan<byte> source, MessageHead head, ReadOnlySpan<byte> host, in RequestId id, RandomSource random, out ReadOnlySpan<byte> lines)
    {
        var writer = new HeadWriter(_scratch);
        var trusted = Trusts(peer);
        if (WritesXForwarded)
        {
            WriteXForwarded(peer, source, head, host, trusted, ref writer);
        }

        if (WritesForwarded)
        {
            WriteForwarded(peer, source, head, host, trusted, ref writer);
        }

        if (!id.IsEmpty)
        {
            writer.Write("X-Request-Id: "u8);
            writer.Write(id.Bytes);
            writer.Write("\r\n"u8);
        }

        if (Settings.Trace != TraceMode.Pass)
        {
            StartTraceIfNone(source, head, random, ref writer);
        }

        lines = _scratch.AsSpan(0, writer.Length);
        return !writer.Overflowed;
    }

    /// <summary>The answer's line with the id; a line of the worker's own gives way to it.</summary>
    public static int WriteAnswerLine(ReadOnlySpan<byte> source, MessageHead head, in RequestId id, Span<byte> destination)
    {
        for (var i = 0; i < head.HeaderCount; i++)
        {
            if (IsNamed(source, head, i, "x-request-id"u8))
            {
                head.Supersede(i);
            }
        }

        return WriteAnswerLine(id, destination);
    }

    /// <summary>At most <see cref="RequestId.MaxBytes"/> and 16 more.</summary>
    public static int WriteAnswerLine(in RequestId id, Span<byte> destination)
    {
        var writer = new HeadWriter(destination);
        writer.Write("X-Request-Id: "u8);
        writer.Write(id.Bytes);
        writer.Write("\r\n"u8);
        return writer.Length;
    }

    private void WriteXForwarded(
        in ClientAddress peer, ReadOnlySpan<byte> source, MessageHead head, ReadOnlySpan<byte> host, bool trusted, ref HeadWriter writer)
    {
        var (hasProto, hasHost, hasPort) = (false, false, false);
        writer.Write("X-Forwarded-For: "u8);
        if (trusted)
        {
            foreach (ref readonly var line in head.Headers)
            {
                if (line.Id == HeaderId.XForwarded && line.ValueLength > 0 && ForwardedNames.IsFor(source.Slice(line.NameStart, line.NameLength)))
                {
                    writer.Write(source.Slice(line.ValueStart, line.ValueLength));
                    writer.Write(", "u8);
                }
            }
        }

        AddressText.Write(peer, ref writer);
        writer.Write("\r\n"u8);
        if (trusted && head.Has(HeaderId.XForwarded))
        {
            foreach (ref readonly var line in head.Headers)
            {
                var name = source.Slice(line.NameStart, line.NameLength);
                if (line.Id != HeaderId.XForwarded || !ForwardedNames.IsKept(name) || ForwardedNames.IsFor(name))
                {
                    continue;
                }

                hasProto |= ForwardedNames.IsProto(name);
                hasHost |= ForwardedNames.IsHost(name);
                hasPort |= ForwardedNames.IsPort(name);
                writer.Write(source[line.NameStart..line.LineEnd]);
            }
        }

        writer.Write(hasProto ? default : "X-Forwarded-Proto: http\r\n"u8);
        writer.Write(hasPort ? default : _portLine);
        if (!hasHost && !host.IsEmpty)
        {
            writer.Write("X-Forwarded-Host: "u8);
            writer.Write(host);
            writer.Write("\r\n"u8);
        }
    }

    private void WriteForwarded(
        in ClientAddress peer, ReadOnlySpan<byte> source, MessageHead head, ReadOnlySpan<byte> host, bool trusted, ref HeadWriter writer)
    {
        writer.Write("Forwarded: "u8);
        if (trusted && Settings.Style == ForwardedStyle.Both && head.Has(HeaderId.XForwarded))
        {
            ForwardedList.WriteTranslated(source, head, ref writer);
        }
        else if (trusted && Settings.Style == ForwardedStyle.Rfc7239 && head.Has(HeaderId.Forwarded))
        {
            ForwardedList.WriteContinued(source, head, ref writer);
        }

        ForwardedElement.Write(peer, _by, host, ref writer);
        writer.Write("\r\n"u8);
    }

    /// <summary>Without a traceparent that is valid nothing of a trace goes on, tracestate neither (W3C Trace Context 3.3).</summary>
    private void StartTraceIfNone(ReadOnlySpan<byte> source, MessageHead head, RandomSource random, ref HeadWriter writer)
    {
        var count = 0;
        var isValid = false;
        for (var i = 0; i < head.HeaderCount; i++)
        {
            if (IsNamed(source, head, i, "traceparent"u8))
            {
                var line = head.Headers[i];
                isValid = count++ == 0 && TraceParent.IsValid(source.Slice(line.ValueStart, line.ValueLength));
            }
        }

        if (isValid)
        {
            return;
        }

        for (var i = 0; i < head.HeaderCount; i++)
        {
            if (IsNamed(source, head, i, "traceparent"u8) || IsNamed(source, head, i, "tracestate"u8))
            {
                head.Supersede(i);
            }
        }

        Span<byte> text = stackalloc byte[TraceParent.Length];
        TraceParent.Write(random, Settings.Trace == TraceMode.StartSampled, text);
        writer.Write("traceparent: "u8);
        writer.Write(text);
        writer.Write("\r\n"u8);
    }

    private static bool IsNamed(ReadOnlySpan<byte> source, MessageHead head, int index, ReadOnlySpan<byte> lower)
    {
        ref readonly var line = ref head.Headers[index];
        return line.Id == HeaderId.Other && line.NameLength == lower.Length && HeaderNames.IsSame(source.Slice(line.NameStart, line.NameLength), lower);
    }
}
