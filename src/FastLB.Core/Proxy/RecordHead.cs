using System.Text;
using FastLB.Core.Http;
using FastLB.Core.Recording;

namespace FastLB.Core.Proxy;

/// <summary>Takes from a head what the access log says of it.</summary>
internal static class RecordHead
{
    /// <summary>Keeps method, target, and the first Referer and User-Agent.</summary>
    internal static void Keep(RequestRecord record, ReadOnlySpan<byte> source, MessageHead head)
    {
        ReadOnlySpan<byte> referer = default;
        ReadOnlySpan<byte> userAgent = default;
        foreach (ref readonly var line in head.Headers)
        {
            switch (line.NameLength)
            {
                case 7 when referer.IsEmpty && Ascii.EqualsIgnoreCase(source.Slice(line.NameStart, line.NameLength), "referer"u8):
                    referer = source.Slice(line.ValueStart, line.ValueLength);
                    break;
                case 10 when userAgent.IsEmpty && Ascii.EqualsIgnoreCase(source.Slice(line.NameStart, line.NameLength), "user-agent"u8):
                    userAgent = source.Slice(line.ValueStart, line.ValueLength);
                    break;
            }
        }

        record.KeepHead(source.Slice(head.MethodStart, head.MethodLength), source.Slice(head.TargetStart, head.TargetLength), referer, userAgent);
    }
}
