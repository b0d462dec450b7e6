using FastLB.Core.Loop;
using FastLB.Fleet;

namespace FastLB.Tests.Fleet;

/// <summary>
/// Random histories: a supervisor among processes that fail to start, answer or not, die at any time and ignore signals. What must
/// always hold is checked at every effect. A failure names its seed.
/// </summary>
public class SupervisorWalkTests
{
    private const int Histories = 4_000;
    private const int Steps = 150;

    [Fact]
    public void What_must_always_hold_holds_in_random_histories()
    {
        for (var seed = 1UL; seed <= Histories; seed++)
        {
            try
            {
                new Walk(seed).Run();
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}: {e.Message}", e);
            }
        }
    }

    private sealed class Process
    {
        public bool IsReady;
        public bool IsTerminated;
        public bool IsKilled;
        public bool IgnoresTermination;
    }

    private sealed class Walk
    {
        private readonly RandomSource _random;
        private readonly Supervisor _supervisor;
        private int _instances;
        private bool _opensTogether;
        private bool _isRetiring;
        private readonly Dictionary<WorkerKey, Process> _alive = [];
        private readonly List<WorkerKey> _unanswered = [];
        private readonly HashSet<WorkerKey> _watched = [];
        private readonly Dictionary<int, int> _generations = [];
        private long _nowMs;
        private bool _isRollingPossible;
        private bool _isStopping;
        private bool _isStopped;

        public Walk(ulong seed)
        {
            _random = new RandomSource(seed);
            _instances = 1 + _random.Next(4);
            _opensTogether = _random.Chance(0.5);
            _supervisor = new Supervisor(SupervisorScenario.Settings(_instances, _opensTogether), new RandomSource(seed + 1_000_000));
        }

        public void Run()
        {
            Tell(new FleetEvent.Start());
            for (var step = 0; step < Steps && !_isStopped; step++)
            {
                Step();
            }

            if (!_isStopping)
            {
                _isStopping = true;
                Tell(new FleetEvent.Stop());
            }

            // Whatever the processes do, a stop comes to its end: within the time for SIGTERM and SIGKILL.
            var stopBy = _nowMs + 60_000;
            while (!_isStopped)
            {
                Settle();
                if (!_isStopped)
                {
                    Check(_supervisor.NextDeadlineMs < long.MaxValue, "a stop that waits has a deadline");
                    _nowMs = Math.Max(_nowMs, _supervisor.NextDeadlineMs);
                    Check(_nowMs <= stopBy, "a stop ends in time");
                    Tell(new FleetEvent.Tick());
                }
            }

            Check(_alive.Count == 0, "nothing is left after a stop");
        }

        private void Step()
        {
            switch (_random.Next(12))
            {
                case 0 or 1 or 2:
                    ConfirmOne();
                    break;
                case 3 or 4:
                    WithOne(pair => !pair.Value.IsReady, pair =>
                    {
                        pair.Value.IsReady = true;
                        Tell(new FleetEvent.Answered(pair.Key.Slot, pair.Key.Generation));
                    });
                    break;
                case 5:
                    WithOne(_ => true, pair => Exit(pair.Key));
                    break;
                case 6:
                    WithOne(pair => pair.Value.IsKilled || (pair.Value.IsTerminated && !pair.Value.IgnoresTermination), pair => Exit(pair.Key));
                    break;
                case 7:
                    WithOne(pair => _watched.Contains(pair.Key), pair => Tell(new FleetEvent.Drained(pair.Key.Slot, pair.Key.Generation)));
                    break;
                case 8:
                    if (_random.Chance(0.3))
                    {
                        _isRollingPossible = true;
                        Tell(new FleetEvent.RestartRolling());
                    }

                    break;
                case 9 or 10:
                    PassTime();
                    break;
                default:
                    if (!_isStopping && _random.Chance(0.4))
                    {
                        // A slot that is wanted again starts anew while its last process may still be going.
                        _isRollingPossible = true;
                        _instances = _isRetiring ? 0 : 1 + _random.Next(5);
                        _opensTogether ^= _random.Chance(0.2);
                        Tell(new FleetEvent.Changed(SupervisorScenario.Settings(Math.Max(1, _instances), _opensTogether), _random.Chance(0.3)));
                    }
                    else if (!_isStopping && _random.Chance(0.03))
                    {
                        _instances = 0;
                        _isRetiring = true;
                        Tell(new FleetEvent.Retire());
                    }
                    else if (_random.Chance(0.05))
                    {
                        _isStopping = true;
                        Tell(new FleetEvent.Stop());
                    }

                    break;
            }
        }

        /// <summary>What SIGKILL and a working SIGTERM lead to, and what the host owes.</summary>
        private void Settle()
        {
            while (_unanswered.Count > 0)
            {
                ConfirmOne();
            }

            foreach (var (key, process) in _alive.ToArray())
            {
                if (process.IsKilled || (process.IsTerminated && !process.IgnoresTermination))
                {
                    Exit(key);
                }
            }
        }

        private void ConfirmOne()
        {
            if (_unanswered.Count == 0)
            {
                return;
            }

            var key = _unanswered[_random.Next(_unanswered.Count)];
            _unanswered.Remove(key);
            if (_random.Chance(0.15))
            {
                Tell(new FleetEvent.SpawnFailed(key.Slot, key.Generation, "by chance"));
                return;
            }

            _alive.Add(key, new Process { IgnoresTermination = _random.Chance(0.2) });
            Check(
                _alive.Keys.Count(other => other.Slot == key.Slot) <= (_isRollingPossible ? 2 : 1),
                "a slot has one process, and two in a rolling restart");
            Tell(new FleetEvent.Spawned(key.Slot, key.Generation));
        }

        private void Exit(WorkerKey key)
        {
            Check(_alive.Remove(key), "an exit is of a living process");
            Tell(new FleetEvent.Exited(key.Slot, key.Generation, "exited by chance"), key);
        }

        private void PassTime()
        {
            // Processes that were sent SIGKILL die before the supervisor would give them up.
            foreach (var (key, process) in _alive.ToArray())
            {
                if (process.IsKilled)
                {
                    Exit(key);
                }
            }

            var next = _supervisor.NextDeadlineMs;
            _nowMs = next < long.MaxValue && _random.Chance(0.5) ? Math.Max(_nowMs, next) : _nowMs + _random.Next(3_000);
            if (next <= _nowMs)
            {
                Tell(new FleetEvent.Tick());
                Check(_supervisor.NextDeadlineMs > _nowMs, "a tick takes care of what is due");
            }
        }

        private void Tell(FleetEvent occurred, WorkerKey? exited = null)
        {
            var effects = new List<FleetEffect>();
            var wasPublished = exited is { } gone && _published.Contains(gone);
            _mayLoseAll = occurred is FleetEvent.Exited or FleetEvent.Stop or FleetEvent.Retire;
            _supervisor.Handle(occurred, _nowMs, effects);
            Check(!wasPublished || effects[0] is FleetEffect.Publish, "an exit of a published worker publishes first");
            foreach (var effect in effects)
            {
                Perform(effect);
            }

            CheckBackoff();
            CheckOpening();
            Check(
                _ready.All(key => key.Slot >= _instances) || _ready.All(key => key.Slot < _instances),
                "who is too many serves only while nobody who stays does");
            Check(_supervisor.Slots.Count(slot => !slot.IsSurplus) == (_isRetiring ? 0 : _instances), "there are as many slots as are wanted");
        }

        private readonly HashSet<WorkerKey> _published = [];
        private IReadOnlyList<WorkerKey> _ready = [];

        /// <summary>Only the end of a worker, or of the pool, takes the last one that serves; no resizing does and no restart.</summary>
        private bool _mayLoseAll;

        /// <summary>Since when a ready worker is held back, or null.</summary>
        private long? _heldSinceMs;

        private void Perform(FleetEffect effect)
        {
            Check(!_isStopped, "nothing comes after Stopped");
            switch (effect)
            {
                case FleetEffect.Spawn(var slot, var generation):
                    Check(!_isStopping && !_isRetiring, "a stopping pool starts nothing");
                    Check(slot < _instances, "what is too much is not started");
                    Check(generation == _generations.GetValueOrDefault(slot) + 1, "generations count up");
                    _generations[slot] = generation;
                    _unanswered.Add(new WorkerKey(slot, generation));
                    break;
                case FleetEffect.Probe(var slot, var generation):
                    Check(_alive.ContainsKey(new WorkerKey(slot, generation)), "only what lives is probed");
                    break;
                case FleetEffect.Publish(var ready, var draining):
                    Check(ready.Concat(draining).All(key => _alive.TryGetValue(key, out var p) && p is { IsReady: true, IsTerminated: false, IsKilled: false }), "only ready workers that nobody stops are published");
                    Check(ready.Select(key => key.Slot).Distinct().Count() == ready.Count, "a slot has one ready worker");
                    Check(ready.Count > 0 || _ready.Count == 0 || _mayLoseAll, "a pool that serves goes on serving");
                    Check(
                        _ready.Count > 0 || ready.Count == 0 || !_opensTogether || _instances <= 1 || _nowMs - _heldSinceMs >= Supervisor.LongestHoldMs || !AreAwaited(ready),
                        "a pool opens when nobody is on its way any more, or after the longest time");
                    _ready = ready;
                    _published.Clear();
                    _published.UnionWith(ready.Concat(draining));
                    break;
                case FleetEffect.WatchDrained(var slot, var generation):
                    _watched.Add(new WorkerKey(slot, generation));
                    break;
                case FleetEffect.Terminate(var slot, var generation):
                    Check(_alive.TryGetValue(new WorkerKey(slot, generation), out var terminated), "only what lives is terminated");
                    Check(!terminated!.IsTerminated && !terminated.IsKilled, "SIGTERM comes once, and before SIGKILL");
                    Check(!_published.Contains(new WorkerKey(slot, generation)), "a worker leaves the snapshot before it is stopped");
                    terminated.IsTerminated = true;
                    break;
                case FleetEffect.Kill(var slot, var generation):
                    Check(_alive.TryGetValue(new WorkerKey(slot, generation), out var killed), "only what lives is killed");
                    Check(!_published.Contains(new WorkerKey(slot, generation)), "a worker leaves the snapshot before it is killed");
                    killed!.IsKilled = true;
                    break;
                case FleetEffect.Stopped:
                    Check(_isStopping || _isRetiring, "a pool stops when it is told to");
                    Check(_alive.Count == 0 && _unanswered.Count == 0, "a pool has stopped when nothing of it is left");
                    _isStopped = true;
                    break;
            }
        }

        /// <summary>Whether others than these are still on their way. What was given up before it was started is known to the supervisor only.</summary>
        private bool AreAwaited(IReadOnlyList<WorkerKey> ready) => _unanswered.Concat(_alive.Where(pair => !pair.Value.IsReady).Select(pair => pair.Key)).Any(key =>
            key.Slot < _instances
            && ready.All(other => other.Slot != key.Slot)
            && _supervisor.Slots[key.Slot].Find(key.Generation) is { State: ProcessState.Starting });

        private void CheckOpening()
        {
            var isHeld = _ready.Count == 0 && _supervisor.Slots.Any(slot => slot.Serving is { State: ProcessState.Ready });
            _heldSinceMs = isHeld ? _heldSinceMs ?? _nowMs : null;
            if (isHeld)
            {
                Check(_opensTogether && _instances > 1, "only a pool that opens together holds workers back, and none that has but one");
                Check(AreAwaited([]), "nobody is held back for others that do not come");
                Check(_supervisor.NextDeadlineMs <= _heldSinceMs + Supervisor.LongestHoldMs, "whoever is held back has a deadline");
            }
        }

        private void CheckBackoff()
        {
            foreach (var slot in _supervisor.Slots)
            {
                Check(slot.RestartAtMs is not { } at || at - _nowMs <= RestartBackoff.LongestDelayMs, "a delay is bounded");
                Check(_isStopping || slot.IsSurplus || !slot.IsEmpty || slot.RestartAtMs is not null, "a slot never gives up");
            }
        }

        private void WithOne(Func<KeyValuePair<WorkerKey, Process>, bool> which, Action<KeyValuePair<WorkerKey, Process>> action)
        {
            var candidates = _alive.Where(which).ToArray();
            if (candidates.Length > 0)
            {
                action(candidates[_random.Next(candidates.Length)]);
            }
        }

        private static void Check(bool holds, string claim) => Assert.True(holds, claim);
    }
}
