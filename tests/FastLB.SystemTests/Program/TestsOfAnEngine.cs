namespace FastLB.SystemTests.Program;

/// <summary>
/// The tests of the whole program run once on each engine: on epoll, and on what <c>engine: auto</c> chooses, which is io_uring wherever the
/// kernel allows it (<see cref="EngineTests"/> says which it was). Tests do not run side by side, so one static setting does.
/// </summary>
public abstract class TestsOfAnEngine
{
    protected TestsOfAnEngine(string engine) => FastLbUnderTest.Engine = engine;
}

public sealed class DemoFleetOnEpoll() : DemoFleet("epoll");

public sealed class DemoFleetOnAuto() : DemoFleet("auto");

public sealed class DrainOnEpollTests() : DrainTests("epoll");

public sealed class DrainOnAutoTests() : DrainTests("auto");

public sealed class SlowClientOnEpollTests() : SlowClientTests("epoll");

public sealed class SlowClientOnAutoTests() : SlowClientTests("auto");

public sealed class TcpOnEpollTests() : TcpTests("epoll");

public sealed class TcpOnAutoTests() : TcpTests("auto");

public sealed class WorkerFailureOnEpollTests() : WorkerFailureTests("epoll");

public sealed class WorkerFailureOnAutoTests() : WorkerFailureTests("auto");

public sealed class FleetUnderLoadOnEpollTests() : FleetUnderLoadTests("epoll");

public sealed class FleetUnderLoadOnAutoTests() : FleetUnderLoadTests("auto");

public sealed class DataPathOnEpollTests(DemoFleetOnEpoll demo) : DataPathTests(demo), IClassFixture<DemoFleetOnEpoll>;

public sealed class DataPathOnAutoTests(DemoFleetOnAuto demo) : DataPathTests(demo), IClassFixture<DemoFleetOnAuto>;

public sealed class MalformedInputOnEpollTests(DemoFleetOnEpoll demo) : MalformedInputTests(demo), IClassFixture<DemoFleetOnEpoll>;

public sealed class MalformedInputOnAutoTests(DemoFleetOnAuto demo) : MalformedInputTests(demo), IClassFixture<DemoFleetOnAuto>;

public sealed class PipelinedClientOnEpollTests() : PipelinedClientTests("epoll");

public sealed class PipelinedClientOnAutoTests() : PipelinedClientTests("auto");

public sealed class RecordingOnEpollTests() : RecordingTests("epoll");

public sealed class RecordingOnAutoTests() : RecordingTests("auto");

public sealed class WebSocketOnEpollTests() : WebSocketTests("epoll");

public sealed class WebSocketOnAutoTests() : WebSocketTests("auto");

public sealed class ReloadOnEpollTests() : ReloadTests("epoll");

public sealed class ReloadOnAutoTests() : ReloadTests("auto");

public sealed class ArrivingPoolOnEpollTests() : ArrivingPoolTests("epoll");

public sealed class ArrivingPoolOnAutoTests() : ArrivingPoolTests("auto");

public sealed class StoppedRolloutOnEpollTests() : StoppedRolloutTests("epoll");

public sealed class StoppedRolloutOnAutoTests() : StoppedRolloutTests("auto");

public sealed class ProtectionOnEpollTests() : ProtectionTests("epoll");

public sealed class ProtectionOnAutoTests() : ProtectionTests("auto");

public sealed class ListenerOnEpollTests() : ListenerTests("epoll");

public sealed class ListenerOnAutoTests() : ListenerTests("auto");

public sealed class ReloadMemoryOnEpollTests() : ReloadMemoryTests("epoll");

public sealed class ReloadMemoryOnAutoTests() : ReloadMemoryTests("auto");

public sealed class ChoosingOnEpollTests() : ChoosingTests("epoll");

public sealed class ChoosingOnAutoTests() : ChoosingTests("auto");

public sealed class LimitOnEpollTests() : LimitTests("epoll");

public sealed class LimitOnAutoTests() : LimitTests("auto");
