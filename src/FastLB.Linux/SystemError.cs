using System.Globalization;
using System.Runtime.InteropServices;

namespace FastLB.Linux;

/// <summary>What errno means to a person (errno(3)).</summary>
public static class SystemError
{
    /// <summary>The clause for EMFILE.</summary>
    public static string NoDescriptors =>
        string.Create(CultureInfo.InvariantCulture, $"no descriptors are left (ulimit -n is {Libc.DescriptorLimit()})");

    /// <summary>A clause that says what is missing, with the limit to raise where there is one. Opens nothing itself.</summary>
    /// <param name="error">The errno, above 0.</param>
    public static string Describe(int error) => error switch
    {
        Libc.EMFILE => NoDescriptors,
        Libc.ENFILE => "the whole machine has no descriptors left (sysctl fs.file-max)",
        Libc.EAGAIN => "no more processes are allowed (ulimit -u, or pids.max of the control group)",
        Libc.ENOMEM => "the kernel has no memory left",
        _ => string.Create(CultureInfo.InvariantCulture, $"{Marshal.GetPInvokeErrorMessage(error)} (error {error})"),
    };

    /// <summary>Whether a later try may succeed, because somebody gives back what is missing now.</summary>
    internal static bool IsShortage(int error) => error is Libc.EMFILE or Libc.ENFILE or Libc.EAGAIN or Libc.ENOMEM;
}
