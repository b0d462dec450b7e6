using FastLB.Core.Http;
using FastLB.Core.Metrics;
using FastLB.Core.Recording;

namespace FastLB.Core.Proxy;

/// <summary>What is written down of requests that ran ahead and were answered together; the others' exchanges see to that.</summary>
internal sealed partial class HttpPipeline
{
    private bool _isRecording;

    private RequestRecord? RecordOf(ReadOnlySpan<byte> source, MessageHead head, LoopRoute route)
    {
        var listener = _client!.Listener;
        if (listener.Settings.AccessLog is not { } filter || _proxy.Recorder.RentFor(filter) is not { } record)
        {
            return null;
        }

        _isRecording = true;
        RecordHead.Keep(record, source, head);
        record.Facts.Route = route.Route.Number;
        record.Facts.QueueNs = 0;
        record.Facts.ConnectNs = 0;
        return record;
    }

    private void NoteAnswer(ref PipelinedRequest request, UpstreamPool home, int status, int bytes)
    {
        if (request.Record is { } record)
        {
            record.Facts.Slot = home.Worker.Slot;
            record.Facts.Status = (short)status;
            record.Facts.BytesOut = bytes;
            record.Facts.FirstByteNs = Loop.NowNs - request.BeganNs;
        }
    }

    private void WriteDown(ref PipelinedRequest request, Outcome outcome, long nowNs)
    {
        if (request.Record is not { } record)
        {
            return;
        }

        request.Record = null;
        record.Facts.Id = _proxy.Recorder.NextId();
        record.Facts.Client = _client!.Address;
        record.Facts.BeganNs = request.BeganNs;
        record.Facts.TotalNs = nowNs - request.BeganNs;
        record.Facts.BytesIn = request.SourceLength;
        record.Facts.Outcome = outcome;
        _proxy.Recorder.Write(record, _client.Listener.Settings.AccessLog, _client.Listener.NameBytes, _pool!.NameBytes);
    }

    /// <summary>The request as its exchange gets it, with its record, which is not the pipeline's any more.</summary>
    private static PipelinedRequest HandOver(ref PipelinedRequest request)
    {
        var handedOver = request;
        request.Record = null;
        return handedOver;
    }

    /// <summary>Requests from <paramref name="first"/> on did not run ahead after all, or somebody else has their records.</summary>
    private void ForgetRecords(int first)
    {
        if (!_isRecording)
        {
            return;
        }

        _isRecording = first > 0;
        foreach (ref var request in _requests.AsSpan(first))
        {
            if (request.Record is { } record)
            {
                request.Record = null;
                _proxy.Recorder.Recycle(record);
            }
        }
    }
}
