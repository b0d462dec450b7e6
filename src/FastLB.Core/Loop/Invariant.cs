using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace FastLB.Core.Loop;

/// <summary>
/// Checks that stay on in release builds. A violated invariant means that the next step could hand a byte to the wrong
/// client, so the process stops instead; the guardian then takes the workers down with it.
/// </summary>
public static class Invariant
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void That(
        [DoesNotReturnIf(false)] bool holds,
        string claim,
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0)
    {
        if (!holds)
        {
            Violated(claim, file, line);
        }
    }

    [DoesNotReturn, StackTraceHidden, MethodImpl(MethodImplOptions.NoInlining)]
    private static void Violated(string claim, string file, int line) =>
        throw new InvariantViolatedException($"{claim} ({Path.GetFileName(file)}:{line})");
}

/// <summary>Thrown by <see cref="Invariant"/>. Nothing catches it to go on.</summary>
public sealed class InvariantViolatedException(string message) : Exception(message);
