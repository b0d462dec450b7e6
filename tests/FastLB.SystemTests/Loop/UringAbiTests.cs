using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using FastLB.Linux;

namespace FastLB.SystemTests.Loop;

/// <summary>What UringAbi.cs says of io_uring is what this machine's C header says, as far as that is young enough.</summary>
public class UringAbiTests
{
    [NeedsToolsFact("cc")]
    public async Task Numbers_sizes_and_offsets_are_those_of_the_C_header()
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-abi-").FullName;
        try
        {
            var program = Path.Combine(directory, "abi_check_uring");
            await RunningProgram.OutputOf("cc", "-o", program, Path.Combine(Repository.Root, "native", "abi_check_uring.c"));
            var c = (await RunningProgram.OutputOf(program)).Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => line.Split(' '))
                .ToDictionary(parts => parts[0], parts => long.Parse(parts[1], CultureInfo.InvariantCulture));
            var ours = Declared();
            Assert.Equal(c.Keys.Order(), ours.Keys.Order());
            Assert.All(ours, declared => Assert.Equal((declared.Key, c[declared.Key]), (declared.Key, declared.Value)));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static long OffsetOf<T>(string field) => (long)Marshal.OffsetOf<T>(field);

    private static Dictionary<string, long> Declared() => new()
    {
        ["PollAdd"] = UringAbi.PollAdd,
        ["Accept"] = UringAbi.Accept,
        ["AsyncCancel"] = UringAbi.AsyncCancel,
        ["Connect"] = UringAbi.Connect,
        ["Close"] = UringAbi.Close,
        ["Send"] = UringAbi.Send,
        ["Receive"] = UringAbi.Receive,
        ["Shutdown"] = UringAbi.Shutdown,
        ["Socket"] = UringAbi.Socket,
        ["Command"] = UringAbi.Command,
        ["SetupCqSize"] = UringAbi.SetupCqSize,
        ["SetupClamp"] = UringAbi.SetupClamp,
        ["SetupDisabled"] = UringAbi.SetupDisabled,
        ["SetupSubmitAll"] = UringAbi.SetupSubmitAll,
        ["SetupTaskrunFlag"] = UringAbi.SetupTaskrunFlag,
        ["SubmissionTaskrun"] = UringAbi.SubmissionTaskrun,
        ["SetupSingleIssuer"] = UringAbi.SetupSingleIssuer,
        ["SetupDeferTaskrun"] = UringAbi.SetupDeferTaskrun,
        ["FeatureSingleMmap"] = UringAbi.FeatureSingleMmap,
        ["FeatureNoDrop"] = UringAbi.FeatureNoDrop,
        ["EnterGetEvents"] = UringAbi.EnterGetEvents,
        ["EnterExtendedArgument"] = UringAbi.EnterExtendedArgument,
        ["EnterRegisteredRing"] = UringAbi.EnterRegisteredRing,
        ["RegisterUnregisterFiles"] = UringAbi.RegisterUnregisterFiles,
        ["RegisterFilesUpdate"] = UringAbi.RegisterFilesUpdate,
        ["RegisterProbe"] = UringAbi.RegisterProbe,
        ["RegisterEnableRings"] = UringAbi.RegisterEnableRings,
        ["RegisterFiles2"] = UringAbi.RegisterFiles2,
        ["RegisterRingDescriptors"] = UringAbi.RegisterRingDescriptors,
        ["RegisterBufferRing"] = UringAbi.RegisterBufferRing,
        ["RegisterFileAllocationRange"] = UringAbi.RegisterFileAllocationRange,
        ["ResourceSparse"] = UringAbi.ResourceSparse,
        ["FixedFile"] = UringAbi.FixedFile,
        ["Link"] = UringAbi.Link,
        ["HardLink"] = UringAbi.HardLink,
        ["BufferSelect"] = UringAbi.BufferSelect,
        ["CompletionHasBuffer"] = UringAbi.CompletionHasBuffer,
        ["CompletionHasMore"] = UringAbi.CompletionHasMore,
        ["CompletionBufferShift"] = UringAbi.CompletionBufferShift,
        ["SubmissionOverflow"] = UringAbi.SubmissionOverflow,
        ["PollFirst"] = UringAbi.PollFirst,
        ["ReceiveMultishot"] = UringAbi.ReceiveMultishot,
        ["AcceptMultishot"] = UringAbi.AcceptMultishot,
        ["PollMultishot"] = UringAbi.PollMultishot,
        ["CancelAll"] = UringAbi.CancelAll,
        ["CancelDescriptor"] = UringAbi.CancelDescriptor,
        ["CancelAny"] = UringAbi.CancelAny,
        ["CancelDescriptorIsFixed"] = UringAbi.CancelDescriptorIsFixed,
        ["FileIndexAllocate"] = UringAbi.FileIndexAllocate,
        ["OffsetRings"] = UringAbi.OffsetRings,
        ["OffsetEntries"] = UringAbi.OffsetEntries,
        ["SO_PEERNAME"] = Libc.SO_PEERNAME,
        ["SubmissionEntry"] = Unsafe.SizeOf<SubmissionEntry>(),
        ["SubmissionEntry.Flags"] = OffsetOf<SubmissionEntry>(nameof(SubmissionEntry.Flags)),
        ["SubmissionEntry.Priority"] = OffsetOf<SubmissionEntry>(nameof(SubmissionEntry.Priority)),
        ["SubmissionEntry.Descriptor"] = OffsetOf<SubmissionEntry>(nameof(SubmissionEntry.Descriptor)),
        ["SubmissionEntry.Offset"] = OffsetOf<SubmissionEntry>(nameof(SubmissionEntry.Offset)),
        ["SubmissionEntry.CommandOperation"] = OffsetOf<SubmissionEntry>(nameof(SubmissionEntry.CommandOperation)),
        ["SubmissionEntry.Address"] = OffsetOf<SubmissionEntry>(nameof(SubmissionEntry.Address)),
        ["SubmissionEntry.Length"] = OffsetOf<SubmissionEntry>(nameof(SubmissionEntry.Length)),
        ["SubmissionEntry.OperationFlags"] = OffsetOf<SubmissionEntry>(nameof(SubmissionEntry.OperationFlags)),
        ["SubmissionEntry.UserData"] = OffsetOf<SubmissionEntry>(nameof(SubmissionEntry.UserData)),
        ["SubmissionEntry.BufferGroup"] = OffsetOf<SubmissionEntry>(nameof(SubmissionEntry.BufferGroup)),
        ["SubmissionEntry.FileIndex"] = OffsetOf<SubmissionEntry>(nameof(SubmissionEntry.FileIndex)),
        ["SubmissionEntry.OptionValue"] = OffsetOf<SubmissionEntry>(nameof(SubmissionEntry.OptionValue)),
        ["Completion"] = Unsafe.SizeOf<Completion>(),
        ["Completion.Result"] = OffsetOf<Completion>(nameof(Completion.Result)),
        ["Completion.Flags"] = OffsetOf<Completion>(nameof(Completion.Flags)),
        ["UringParameters"] = Unsafe.SizeOf<UringParameters>(),
        ["UringParameters.Features"] = OffsetOf<UringParameters>(nameof(UringParameters.Features)),
        ["UringParameters.Submission"] = OffsetOf<UringParameters>(nameof(UringParameters.Submission)),
        ["UringParameters.Completion"] = OffsetOf<UringParameters>(nameof(UringParameters.Completion)),
        ["RingOffsets"] = Unsafe.SizeOf<RingOffsets>(),
        ["RingOffsets.Flags"] = OffsetOf<RingOffsets>(nameof(RingOffsets.Flags)),
        ["RingOffsets.CompletionEntries"] = OffsetOf<RingOffsets>(nameof(RingOffsets.CompletionEntries)),
        ["ResourceRegister"] = Unsafe.SizeOf<ResourceRegister>(),
        ["ResourceUpdate"] = Unsafe.SizeOf<ResourceUpdate>(),
        ["ResourceUpdate.Data"] = OffsetOf<ResourceUpdate>(nameof(ResourceUpdate.Data)),
        ["FileIndexRange"] = Unsafe.SizeOf<FileIndexRange>(),
        ["BufferRingRegister"] = Unsafe.SizeOf<BufferRingRegister>(),
        ["BufferRingRegister.Group"] = OffsetOf<BufferRingRegister>(nameof(BufferRingRegister.Group)),
        ["BufferEntry"] = Unsafe.SizeOf<BufferEntry>(),
        ["BufferEntry.Id"] = OffsetOf<BufferEntry>(nameof(BufferEntry.Id)),
        ["BufferEntry.Reserved"] = OffsetOf<BufferEntry>(nameof(BufferEntry.Reserved)),
        ["GetEventsArgument"] = Unsafe.SizeOf<GetEventsArgument>(),
        ["GetEventsArgument.Timeout"] = OffsetOf<GetEventsArgument>(nameof(GetEventsArgument.Timeout)),
        ["KernelTime"] = Unsafe.SizeOf<KernelTime>(),
    };
}
