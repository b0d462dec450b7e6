using System.Runtime.CompilerServices;
using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Recording;

namespace FastLB.Core.Proxy;

/// <summary>
/// What is written down of a request: a line for the access log, if its listener has one, and its story, if it failed or was tried again. Of every request a few
/// counters and its first line are kept, so that a failure can be told that nobody expected; all else is done only when it is wanted.
/// </summary>
internal sealed partial class HttpExchange
{
    private RequestRecord? _record;
    private FailedRequest? _story;
    private StartLine _startLine;
    private byte _startLineLength;
    private AttemptEnd _attemptEnd = AttemptEnd.GivenUp;
    private Outcome _outcome;
    private short _status;
    private ushort _retryCount;
    private int _upstreamError;
    private long _bytesIn;
    private long _bytesOut;
    private long _attemptNs;
    private long _endedNs;
    private ulong _recordId;

    /// <summary>By which the request is found again in the log, in its answer and by <c>fastlb explain</c>.</summary>
    private ulong RecordId => _recordId != 0 ? _recordId : _recordId = _proxy.Recorder.NextId();

    /// <summary>A request has begun that did not run ahead of others; those bring their records along.</summary>
    internal void BeginRecord()
    {
        if (_client!.Listener.Settings.AccessLog is { } filter)
        {
            _record = _proxy.Recorder.RentFor(filter);
        }
    }

    /// <summary>The head is understood as far as its form goes.</summary>
    private void NoteHead(ReadOnlySpan<byte> source, MessageHead head)
    {
        _bytesIn = head.Length;
        KeepStartLine(source.Slice(head.MethodStart, head.TargetStart + head.TargetLength - head.MethodStart));
        if (_record is { } record)
        {
            RecordHead.Keep(record, source, head);
        }
    }

    private void KeepStartLine(ReadOnlySpan<byte> line)
    {
        _startLineLength = (byte)Math.Min(line.Length, StartLine.Length);
        line[.._startLineLength].CopyTo(_startLine);
    }

    private void NoteRoute()
    {
        if (_record is { } record)
        {
            record.Facts.Route = _route!.Route.Number;
        }
    }

    /// <summary>The request ran ahead, and its record, if it has one, comes along.</summary>
    private void NoteTakenOver(in PipelinedRequest request, LoopBuffer heads)
    {
        _record = request.Record;
        _bytesIn = request.SourceLength;
        var line = heads.Span(request.Start, request.End);
        KeepStartLine(line[..line.IndexOf(" HTTP/"u8)]);
    }

    private void NoteAttemptBegins()
    {
        _attemptNs = Loop.NowNs;
        _sentNs = 0;
        if (_record is { } record)
        {
            record.Facts.QueueNs = record.Facts.QueueNs < 0 ? _attemptNs - _beganNs : record.Facts.QueueNs;
            record.Facts.Slot = _upstreamPool!.Worker.Slot;
        }
    }

    private void NoteAnswerBegins(int status)
    {
        _status = (short)status;
        if (_record is { } record)
        {
            record.Facts.Slot = _upstreamPool!.Worker.Slot;
            record.Facts.ConnectNs = _sentNs - _attemptNs;
            record.Facts.FirstByteNs = Loop.NowNs - _sentNs;
            record.Facts.Flags |= status == 101 ? RecordFlags.Upgraded : RecordFlags.None;
        }
    }

    private static AttemptEnd EndOf(Outcome outcome, bool isStale) => outcome switch
    {
        Outcome.ConnectFailed => AttemptEnd.ConnectFailed,
        Outcome.ConnectTimeout => AttemptEnd.ConnectTimedOut,
        Outcome.WorkerClosed => isStale ? AttemptEnd.StaleConnection : AttemptEnd.ClosedUnanswered,
        Outcome.WorkerTruncated => AttemptEnd.AnswerBrokeOff,
        Outcome.WorkerMalformed => AttemptEnd.AnswerMalformed,
        Outcome.WorkerTimeout => AttemptEnd.AnswerLate,
        _ => AttemptEnd.GivenUp,
    };

    /// <summary>An attempt has ended, with or without success.</summary>
    private void NoteAttempt(AttemptEnd end)
    {
        var worker = _upstreamPool!.Worker;
        Story().Add(new FailedAttempt
        {
            Worker = worker.Name,
            Generation = worker.Generation,
            End = end,
            Status = _status,
            Reused = _upstream!.IsReused,
            Error = _upstreamError,
            BeganNs = _attemptNs,
            SentNs = _sentNs,
            EndedNs = Loop.NowNs,
        });
        _attemptEnd = AttemptEnd.GivenUp;
        _upstreamError = 0;
        _status = _answerStarted ? _status : (short)0;
    }

    private void NoteFallback(LoopPool pool) => Story().FallbackFor ??= pool.Pool.Name;

    private void NoteFailure(Outcome outcome)
    {
        var story = Story();
        (story.Limit, story.LimitValue) = LimitOf(outcome);
    }

    private FailedRequest Story() => _story ??= _proxy.Recorder.Failures.Rent();

    /// <summary>What of the configuration decided, and its value.</summary>
    private (DecidingLimit Limit, long Value) LimitOf(Outcome outcome) => outcome switch
    {
        Outcome.ClientTimeout when _pool is null => (DecidingLimit.HeadTimeout, ClientTimeouts.HeadMs),
        Outcome.ClientTimeout => (DecidingLimit.BodyTimeout, ClientTimeouts.BodyMs),
        Outcome.NoWorker => (DecidingLimit.QueueTimeout, PoolTimeouts.QueueMs),
        Outcome.QueueFull => (DecidingLimit.QueueLength, _pool!.Pool.Settings.Queue.Length),
        Outcome.BreakerOpen => (DecidingLimit.Breaker, 0),
        Outcome.RateLimited => (DecidingLimit.RateLimit, 0),
        Outcome.ConnectTimeout => (DecidingLimit.ConnectTimeout, PoolTimeouts.ConnectMs),
        Outcome.WorkerTimeout => (DecidingLimit.ResponseTimeout, PoolTimeouts.ResponseMs),
        Outcome.DrainDeadline => (DecidingLimit.DrainTimeout, ClientTimeouts.DrainMs),
        _ => (DecidingLimit.None, 0),
    };

    /// <summary>The request is over: what is to be told of it is written down.</summary>
    private void WriteDown()
    {
        if (_record is not null || _story is not null)
        {
            var facts = _record?.Facts ?? new RecordFacts { QueueNs = -1, ConnectNs = -1, FirstByteNs = -1, Route = -1, Slot = -1 };
            facts.Id = RecordId;
            facts.Client = ClientAddress;
            facts.BeganNs = _beganNs;
            facts.TotalNs = (_endedNs != 0 ? _endedNs : Loop.ReadClockNs()) - _beganNs;
            facts.BytesIn = _bytesIn + (_relay?.BytesFromClient ?? 0);
            facts.BytesOut = _bytesOut + (_relay?.BytesToClient ?? 0);
            facts.Status = _status;
            facts.Retries = _retryCount;
            facts.Outcome = _outcome;
            facts.Flags |= _clientVersion == HttpVersion.Http10 ? RecordFlags.Http10 : RecordFlags.None;
            if (_story is { } story)
            {
                story.Facts = facts;
                story.Pool = _pool?.Pool.Name;
                story.Listener = _client!.Listener.Name;
                story.KeepLine(_startLine[.._startLineLength]);
                story.KeepRequestId(_requestId.Bytes);
                _proxy.Recorder.Failures.Add(story);
                _story = null;
            }

            if (_record is { } record)
            {
                record.Facts = facts;
                record.KeepRequestId(_requestId.Bytes);
                _proxy.Recorder.Write(record, _client!.Listener.Settings.AccessLog, _client.Listener.NameBytes, _pool is { } pool ? pool.NameBytes : default);
                _record = null;
            }
        }

        _startLineLength = 0;
        _attemptEnd = AttemptEnd.GivenUp;
        _status = 0;
        _retryCount = 0;
        _upstreamError = 0;
        _bytesIn = 0;
        _bytesOut = 0;
        _attemptNs = 0;
        _endedNs = 0;
        _recordId = 0;
    }

    /// <summary>Method and target of the request, as far as they fit.</summary>
    [InlineArray(Length)]
    private struct StartLine
    {
        internal const int Length = FailedRequest.MaxLineBytes;

        private byte _first;
    }
}
