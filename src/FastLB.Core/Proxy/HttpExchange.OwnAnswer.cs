using FastLB.Core.Forwarding;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Recording;

namespace FastLB.Core.Proxy;

/// <summary>Answers that the balancer makes itself. They close the connection where it cannot be known what the client sends next.</summary>
internal sealed partial class HttpExchange
{
    /// <summary>The head breaks the rules, or did not come in time. What has come of it is all that is known of the request.</summary>
    internal void GiveUpHead(ErrorResponse response, Outcome outcome)
    {
        _bytesIn = _client!.Received.Length;
        Answer(response, outcome, close: true);
    }

    private void Refuse(Refusal refusal) => Answer(ErrorResponses.Of(refusal), Outcome.ClientMalformed, close: true);

    /// <summary>The body broke the rules after its head was passed on.</summary>
    private void RefuseBody(Refusal refusal)
    {
        if (_answerStarted)
        {
            _client!.Abort(Outcome.ClientMalformed);
            return;
        }

        DropUpstream(failed: false);
        Refuse(refusal);
    }

    /// <summary>The worker's answer cannot be passed on; nothing of it has been.</summary>
    private void FailAnswer()
    {
        _attemptEnd = AttemptEnd.AnswerMalformed;
        DropUpstream(failed: true);
        Answer(ErrorResponses.BadAnswer, Outcome.WorkerMalformed, close: false);
    }

    /// <summary>
    /// Answers the request ourselves. The outcome is decided here. A request whose body was not read to the end takes its connection with it.
    /// </summary>
    /// <param name="response">What is answered.</param>
    /// <param name="outcome">How the request ended.</param>
    /// <param name="close">Whether the connection ends in any case.</param>
    /// <param name="lines">Header lines of this answer alone; only where no informational answer was sent.</param>
    internal void Answer(ErrorResponse response, Outcome outcome, bool close, ReadOnlySpan<byte> lines = default)
    {
        Invariant.That(_upstream is null && !_answerStarted, "our own answer stands alone");
        SetOutcome(outcome);
        _phase = Phase.Answering;
        _closeAfter |= close || !_requestBody.IsComplete || (_client!.IsDraining && IsLast);
        ReleaseKeptRequest();
        if (_client!.IsSending)
        {
            // An informational answer is still on its way out.
            Invariant.That(lines.IsEmpty, "what a route answers is answered at once");
            _dueAnswer = response;
            return;
        }

        SendOwnAnswer(response, lines);
    }

    private void SendOwnAnswer(ErrorResponse response, ReadOnlySpan<byte> ownLines = default)
    {
        var bytes = response.Bytes(_closeAfter, _method == RequestMethod.Head, _clientVersion);
        Span<byte> lines = stackalloc byte[RateLimitLines.MaxBytes + MaxAddedBytes + RequestIdLine.Bytes];
        var added = lines[..WriteOwnLines(lines)];
        _status = (short)response.Status;
        var length = bytes.Length + ownLines.Length + added.Length;
        if (Loop.Buffers.TryRent(length) is not { } buffer)
        {
            _client!.Abort(Outcome.OutOfMemory);
            return;
        }

        var target = buffer.Memory.AsSpan(LoopBuffer.DataOffset);
        bytes[..response.StatusLineLength].CopyTo(target);
        target = target[response.StatusLineLength..];
        ownLines.CopyTo(target);
        added.CopyTo(target[ownLines.Length..]);
        bytes[response.StatusLineLength..].CopyTo(target[(ownLines.Length + added.Length)..]);
        _proxy.Metrics.CountResponse(response.Status);
        SendToClient(buffer, LoopBuffer.DataOffset, LoopBuffer.DataOffset + length);
        buffer.Release();
    }

    /// <summary>By which the request's story is found, and what rate limits say of themselves.</summary>
    private int WriteOwnLines(Span<byte> lines)
    {
        var length = 0;
        if (!_requestId.IsEmpty)
        {
            length = Forwarder.WriteAnswerLine(_requestId, lines);
        }
        else if (_outcome != Outcome.AnsweredHere)
        {
            length = RequestIdLine.Bytes;
            RequestIdLine.Write(RecordId, lines);
        }

        return length + (_exceeded is { } limit ? RateLimitLines.Write(limit, _verdict, lines[length..]) : 0);
    }

    private void AfterOwnAnswer()
    {
        if (_dueAnswer is { } due)
        {
            _dueAnswer = null;
            SendOwnAnswer(due);
            return;
        }

        EndExchange();
    }
}
