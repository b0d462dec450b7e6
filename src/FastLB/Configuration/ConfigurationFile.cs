using System.Text;

namespace FastLB.Configuration;

/// <summary>
/// Reads <c>fastlb.yaml</c> into <see cref="Settings"/>. Every mistake of the file is found in one run and told with its
/// place. Reading binds nothing, starts nothing and never throws; the only thing it asks of the network is the address of a
/// worker that is written as a name.
/// </summary>
internal static class ConfigurationFile
{
    /// <summary>A configuration larger than this is not one. It bounds what a wrong path can cost.</summary>
    public const int MaxBytes = 1024 * 1024;

    private static readonly UTF8Encoding StrictUtf8 = new(
        encoderShouldEmitUTF8Identifier: false,
        throwOnInvalidBytes: true);

    /// <summary>Reads the file at <paramref name="path"/>; mistakes name it as it was written there.</summary>
    public static ConfigurationResult Load(string path, HostResolver? resolveHost = null)
    {
        var mistakes = new Mistakes(path);
        byte[] bytes;
        try
        {
            if (Directory.Exists(path))
            {
                mistakes.FileError("this is a directory; name the file in it, like fastlb.yaml");
                return mistakes.ToResult(null);
            }

            bytes = ReadBounded(path);
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException)
        {
            mistakes.FileError("there is no such file; 'fastlb run --help' shows what to write in one");
            return mistakes.ToResult(null);
        }
        catch (UnauthorizedAccessException)
        {
            mistakes.FileError($"no permission to read it as user '{Environment.UserName}'");
            return mistakes.ToResult(null);
        }
        catch (Exception failure) when (failure is IOException or ArgumentException or NotSupportedException)
        {
            mistakes.FileError($"it cannot be read: {failure.Message}");
            return mistakes.ToResult(null);
        }

        if (bytes.Length > MaxBytes)
        {
            mistakes.FileError("it is larger than 1 MB, which no configuration of FastLB is");
            return mistakes.ToResult(null);
        }

        var directory = Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/";
        return Decode(bytes, mistakes) is { } text
            ? Parse(text, directory, mistakes, resolveHost ?? HostNames.Resolve)
            : mistakes.ToResult(null);
    }

    /// <summary>Reads a configuration from memory. Relative directories start at <paramref name="directory"/>.</summary>
    public static ConfigurationResult Parse(
        string text,
        string fileName,
        string directory,
        HostResolver? resolveHost = null) =>
        Parse(text, directory, new Mistakes(fileName), resolveHost ?? HostNames.Resolve);

    private static ConfigurationResult Parse(string text, string directory, Mistakes mistakes, HostResolver resolveHost)
    {
        var root = YamlReader.Read(text, mistakes);
        var settings = root is null ? null : new SettingsReader(mistakes, directory, resolveHost).Read(root);
        return mistakes.ToResult(settings);
    }

    /// <summary>One byte more than allowed at most, so a file that grows or never ends (a device) is bounded as well.</summary>
    internal static byte[] ReadBounded(string path)
    {
        using var file = File.OpenRead(path);
        var bytes = new byte[MaxBytes + 1];
        var length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        return bytes[..length];
    }

    private static string? Decode(ReadOnlySpan<byte> bytes, Mistakes mistakes)
    {
        if (bytes.StartsWith(Encoding.UTF8.Preamble))
        {
            bytes = bytes[Encoding.UTF8.Preamble.Length..];
        }

        try
        {
            return StrictUtf8.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            var (line, column) = PlaceOfInvalidByte(bytes);
            mistakes.Error(line, column, "this byte is not UTF-8; save the file as UTF-8");
            return null;
        }
    }

    private static (int Line, int Column) PlaceOfInvalidByte(ReadOnlySpan<byte> bytes)
    {
        var (line, column) = (1, 1);
        while (Rune.DecodeFromUtf8(bytes, out var rune, out var consumed) == System.Buffers.OperationStatus.Done)
        {
            bytes = bytes[consumed..];
            (line, column) = rune.Value == '\n' ? (line + 1, 1) : (line, column + rune.Utf16SequenceLength);
        }

        return (line, column);
    }
}

/// <summary>What reading a configuration came to: settings and perhaps warnings, or at least one error and no settings.</summary>
internal sealed record ConfigurationResult(
    Settings? Settings,
    IReadOnlyList<Mistake> Errors,
    IReadOnlyList<Mistake> Warnings);
