/* Prints what C makes of the io_uring declarations in src/FastLB.Linux/UringAbi.cs, one "name value" per line. A test compares.
   What is younger than Debian 12's header (Linux 6.1) is not here: FIXED_FD_INSTALL, NO_SQARRAY, ACCEPT_DONTWAIT, SOCKET_URING_OP_*. */
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>

#define VALUE(name, value) printf(name " %llu\n", (unsigned long long)(value))
#define SIZE(name, type) VALUE(name, sizeof(type))
#define OFFSET(name, type, member) VALUE(name, offsetof(type, member))

int main(void)
{
    VALUE("PollAdd", IORING_OP_POLL_ADD);
    VALUE("Accept", IORING_OP_ACCEPT);
    VALUE("AsyncCancel", IORING_OP_ASYNC_CANCEL);
    VALUE("Connect", IORING_OP_CONNECT);
    VALUE("Close", IORING_OP_CLOSE);
    VALUE("Send", IORING_OP_SEND);
    VALUE("Receive", IORING_OP_RECV);
    VALUE("Shutdown", IORING_OP_SHUTDOWN);
    VALUE("Socket", IORING_OP_SOCKET);
    VALUE("Command", IORING_OP_URING_CMD);
    VALUE("SetupCqSize", IORING_SETUP_CQSIZE);
    VALUE("SetupClamp", IORING_SETUP_CLAMP);
    VALUE("SetupDisabled", IORING_SETUP_R_DISABLED);
    VALUE("SetupSubmitAll", IORING_SETUP_SUBMIT_ALL);
    VALUE("SetupTaskrunFlag", IORING_SETUP_TASKRUN_FLAG);
    VALUE("SubmissionTaskrun", IORING_SQ_TASKRUN);
    VALUE("SetupSingleIssuer", IORING_SETUP_SINGLE_ISSUER);
    VALUE("SetupDeferTaskrun", IORING_SETUP_DEFER_TASKRUN);
    VALUE("FeatureSingleMmap", IORING_FEAT_SINGLE_MMAP);
    VALUE("FeatureNoDrop", IORING_FEAT_NODROP);
    VALUE("EnterGetEvents", IORING_ENTER_GETEVENTS);
    VALUE("EnterExtendedArgument", IORING_ENTER_EXT_ARG);
    VALUE("EnterRegisteredRing", IORING_ENTER_REGISTERED_RING);
    VALUE("RegisterUnregisterFiles", IORING_UNREGISTER_FILES);
    VALUE("RegisterFilesUpdate", IORING_REGISTER_FILES_UPDATE);
    VALUE("RegisterProbe", IORING_REGISTER_PROBE);
    VALUE("RegisterEnableRings", IORING_REGISTER_ENABLE_RINGS);
    VALUE("RegisterFiles2", IORING_REGISTER_FILES2);
    VALUE("RegisterRingDescriptors", IORING_REGISTER_RING_FDS);
    VALUE("RegisterBufferRing", IORING_REGISTER_PBUF_RING);
    VALUE("RegisterFileAllocationRange", IORING_REGISTER_FILE_ALLOC_RANGE);
    VALUE("ResourceSparse", IORING_RSRC_REGISTER_SPARSE);
    VALUE("FixedFile", IOSQE_FIXED_FILE);
    VALUE("Link", IOSQE_IO_LINK);
    VALUE("HardLink", IOSQE_IO_HARDLINK);
    VALUE("BufferSelect", IOSQE_BUFFER_SELECT);
    VALUE("CompletionHasBuffer", IORING_CQE_F_BUFFER);
    VALUE("CompletionHasMore", IORING_CQE_F_MORE);
    VALUE("CompletionBufferShift", IORING_CQE_BUFFER_SHIFT);
    VALUE("SubmissionOverflow", IORING_SQ_CQ_OVERFLOW);
    VALUE("PollFirst", IORING_RECVSEND_POLL_FIRST);
    VALUE("ReceiveMultishot", IORING_RECV_MULTISHOT);
    VALUE("AcceptMultishot", IORING_ACCEPT_MULTISHOT);
    VALUE("PollMultishot", IORING_POLL_ADD_MULTI);
    VALUE("CancelAll", IORING_ASYNC_CANCEL_ALL);
    VALUE("CancelDescriptor", IORING_ASYNC_CANCEL_FD);
    VALUE("CancelAny", IORING_ASYNC_CANCEL_ANY);
    VALUE("CancelDescriptorIsFixed", IORING_ASYNC_CANCEL_FD_FIXED);
    VALUE("FileIndexAllocate", (unsigned)IORING_FILE_INDEX_ALLOC);
    VALUE("OffsetRings", IORING_OFF_SQ_RING);
    VALUE("OffsetEntries", IORING_OFF_SQES);
    VALUE("SO_PEERNAME", SO_PEERNAME);

    SIZE("SubmissionEntry", struct io_uring_sqe);
    OFFSET("SubmissionEntry.Flags", struct io_uring_sqe, flags);
    OFFSET("SubmissionEntry.Priority", struct io_uring_sqe, ioprio);
    OFFSET("SubmissionEntry.Descriptor", struct io_uring_sqe, fd);
    OFFSET("SubmissionEntry.Offset", struct io_uring_sqe, off);
    OFFSET("SubmissionEntry.CommandOperation", struct io_uring_sqe, cmd_op);
    OFFSET("SubmissionEntry.Address", struct io_uring_sqe, addr);
    OFFSET("SubmissionEntry.Length", struct io_uring_sqe, len);
    OFFSET("SubmissionEntry.OperationFlags", struct io_uring_sqe, msg_flags);
    OFFSET("SubmissionEntry.UserData", struct io_uring_sqe, user_data);
    OFFSET("SubmissionEntry.BufferGroup", struct io_uring_sqe, buf_group);
    OFFSET("SubmissionEntry.FileIndex", struct io_uring_sqe, file_index);
    OFFSET("SubmissionEntry.OptionValue", struct io_uring_sqe, addr3);
    SIZE("Completion", struct io_uring_cqe);
    OFFSET("Completion.Result", struct io_uring_cqe, res);
    OFFSET("Completion.Flags", struct io_uring_cqe, flags);
    SIZE("UringParameters", struct io_uring_params);
    OFFSET("UringParameters.Features", struct io_uring_params, features);
    OFFSET("UringParameters.Submission", struct io_uring_params, sq_off);
    OFFSET("UringParameters.Completion", struct io_uring_params, cq_off);
    SIZE("RingOffsets", struct io_sqring_offsets);
    OFFSET("RingOffsets.Flags", struct io_sqring_offsets, flags);
    OFFSET("RingOffsets.CompletionEntries", struct io_cqring_offsets, cqes);
    SIZE("ResourceRegister", struct io_uring_rsrc_register);
    SIZE("ResourceUpdate", struct io_uring_rsrc_update);
    OFFSET("ResourceUpdate.Data", struct io_uring_rsrc_update, data);
    SIZE("FileIndexRange", struct io_uring_file_index_range);
    SIZE("BufferRingRegister", struct io_uring_buf_reg);
    OFFSET("BufferRingRegister.Group", struct io_uring_buf_reg, bgid);
    SIZE("BufferEntry", struct io_uring_buf);
    OFFSET("BufferEntry.Id", struct io_uring_buf, bid);
    OFFSET("BufferEntry.Reserved", struct io_uring_buf_ring, tail);
    SIZE("GetEventsArgument", struct io_uring_getevents_arg);
    OFFSET("GetEventsArgument.Timeout", struct io_uring_getevents_arg, ts);
    SIZE("KernelTime", struct __kernel_timespec);
    return 0;
}
