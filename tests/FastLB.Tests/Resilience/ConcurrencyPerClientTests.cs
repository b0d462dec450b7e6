using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Resilience;

public sealed class ConcurrencyPerClientTests
{
    [Fact]
    public void Each_client_has_its_own_places_and_one_more_for_each_that_it_gives_back()
    {
        var clients = new ConcurrencyPerClient(limit: 2, slots: 100);
        var first = clients.TryEnter(1);
        Assert.True(first.IsCounted && clients.TryEnter(1).IsCounted);
        Assert.True(clients.TryEnter(1).IsRefused);
        Assert.True(clients.TryEnter(2).IsCounted);
        Assert.Equal((2, 1, 2), (clients.CountOfClient(1), clients.CountOfClient(2), clients.Clients));
        clients.Exit(first);
        Assert.True(clients.TryEnter(1).IsCounted);
        Assert.True(clients.TryEnter(1).IsRefused);
        clients.Limit = 3;
        Assert.True(clients.TryEnter(1).IsCounted);
    }

    [Fact]
    public void A_client_without_a_free_slot_is_let_in_uncounted_and_those_in_the_slots_stay_limited()
    {
        var clients = new ConcurrencyPerClient(limit: 1, slots: 7);
        var places = Enumerable.Range(1, 7).Select(key => clients.TryEnter((ulong)key << 44)).ToArray();
        Assert.All(places, place => Assert.True(place.IsCounted));
        var eighth = clients.TryEnter(8UL << 44);
        Assert.Equal(ClientPlace.Uncounted, eighth);
        Assert.Equal(0, clients.CountOfClient(8UL << 44));
        Assert.All(Enumerable.Range(1, 7), key => Assert.True(clients.TryEnter((ulong)key << 44).IsRefused));
        clients.Exit(eighth);
        clients.Exit(places[3]);
        Assert.True(clients.TryEnter(8UL << 44).IsCounted);
        Assert.True(clients.TryEnter(8UL << 44).IsRefused);
        Assert.Equal(7, clients.Clients);
    }

    [Fact]
    public void Who_leaves_twice_violates_an_invariant()
    {
        var clients = new ConcurrencyPerClient(limit: 1, slots: 7);
        var place = clients.TryEnter(1);
        clients.Exit(place);
        Assert.Throws<InvariantViolatedException>(() => clients.Exit(place));
        clients.Exit(ClientPlace.Refused);
    }

    [Fact]
    public void It_counts_as_a_dictionary_would() => Prop.ForAll<ulong>(seed =>
    {
        var chance = new RandomSource(seed);
        var limit = 1 + chance.Next(4);
        var clients = new ConcurrencyPerClient(limit, slots: 7);
        var counts = new Dictionary<ulong, int>();
        List<(ulong Key, ClientPlace Place)> inside = [];
        for (var i = 0; i < 400; i++)
        {
            if (chance.Chance(0.5))
            {
                var key = (ulong)(1 + chance.Next(12)) << 44;
                var place = clients.TryEnter(key);
                var count = counts.GetValueOrDefault(key);
                Assert.Equal(count >= limit, place.IsRefused);
                Assert.Equal(count == 0 && counts.Values.Count(other => other > 0) == 7, place == ClientPlace.Uncounted);
                if (place.IsCounted)
                {
                    counts[key] = count + 1;
                    inside.Add((key, place));
                }
            }
            else if (inside.Count > 0)
            {
                var index = chance.Next(inside.Count);
                clients.Exit(inside[index].Place);
                counts[inside[index].Key]--;
                inside.RemoveAt(index);
            }

            Assert.Equal(counts.Values.Count(count => count > 0), clients.Clients);
            Assert.All(counts, client => Assert.Equal(client.Value, clients.CountOfClient(client.Key)));
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void What_many_threads_do_at_once_could_have_happened_one_after_the_other() =>
        History.Check(rounds: 8_000, threads: 3, steps: 5, chance => new ClientsSubject(chance));

    /// <summary>Twelve clients and two slots, beside five that others hold all the while: whoever is counted never exceeds the limit, whatever is given up meanwhile.</summary>
    [Fact]
    public void Under_pressure_no_client_has_more_counted_than_the_limit_and_in_the_end_nothing_is_left()
    {
        const int Limit = 2;
        var clients = new ConcurrencyPerClient(Limit, slots: 7);
        var held = Enumerable.Range(100, 5).Select(other => clients.TryEnter((ulong)other << 44)).ToArray();
        var counted = new int[12];
        int most = 0, uncounted = 0;
        AtOnce.Run(threads: 4, thread =>
        {
            var chance = new RandomSource((ulong)thread);
            var inside = new Queue<(int Client, ClientPlace Place)>();
            for (var i = 0; i < 100_000; i++)
            {
                var client = chance.Next(counted.Length);
                var place = clients.TryEnter((ulong)(client + 1) << 44);
                if (place.IsCounted)
                {
                    var now = Interlocked.Increment(ref counted[client]);
                    if (now > Volatile.Read(ref most))
                    {
                        Volatile.Write(ref most, now);
                    }

                    inside.Enqueue((client, place));
                }
                else if (!place.IsRefused)
                {
                    Interlocked.Increment(ref uncounted);
                }

                // Two take all slots that the held ones leave, so that one thread alone meets a full set: the others may not run before it is done.
                while (inside.Count > 2 || (inside.Count == 2 && i % 3 == 0) || (inside.Count > 0 && i == 99_999))
                {
                    var (left, its) = inside.Dequeue();
                    Interlocked.Decrement(ref counted[left]);
                    clients.Exit(its);
                }
            }
        });
        Assert.InRange(most, 1, Limit);
        Assert.Equal(5, clients.Clients);
        Array.ForEach(held, clients.Exit);
        Assert.Equal(0, clients.Clients);
        Assert.True(uncounted > 0, "the slots were never all taken");
    }

    [Fact]
    public void Four_threads_that_enter_and_leave_for_one_client_leave_nothing_behind()
    {
        var clients = new ConcurrencyPerClient(ConcurrencyPerClient.MaxLimit, slots: 7);
        var stays = clients.TryEnter(1);
        AtOnce.Run(threads: 4, _ =>
        {
            for (var i = 0; i < 300_000; i++)
            {
                clients.Exit(clients.TryEnter(1));
            }
        });
        Assert.Equal(1, clients.CountOfClient(1));
        clients.Exit(stays);
        Assert.Equal(0, clients.Clients);
    }

    private sealed record State(int First, int Second, int Third);

    private sealed class ClientsSubject : Subject<State>
    {
        private const int Limit = 2;

        private readonly ConcurrencyPerClient _clients = new(Limit, slots: 7);
        private readonly List<(int Client, ClientPlace Place)>[] _inside = [[], [], []];

        /// <summary>Some slots count others all the while, and some look as others have left them.</summary>
        public ClientsSubject(RandomSource chance)
        {
            for (var i = chance.Next(3); i > 0; i--)
            {
                _clients.TryEnter((ulong)(10 + i) << 44);
            }

            for (var i = chance.Next(3); i > 0; i--)
            {
                _clients.Exit(_clients.TryEnter((ulong)(20 + i) << 44));
            }
        }

        public override State Initial => new(0, 0, 0);

        public override Func<State, State?> Act(int thread, RandomSource chance)
        {
            var inside = _inside[thread];
            if (inside.Count > 0 && chance.Chance(0.5))
            {
                var (left, its) = inside[^1];
                inside.RemoveAt(inside.Count - 1);
                _clients.Exit(its);
                return state => With(state, left, CountOf(state, left) - 1);
            }

            var client = chance.Next(3);
            var place = _clients.TryEnter((ulong)(client + 1) << 44);
            if (place.IsCounted)
            {
                inside.Add((client, place));
                return state => CountOf(state, client) < Limit ? With(state, client, CountOf(state, client) + 1) : null;
            }

            // Seven slots are more than enough for two others and three of these.
            return state => place.IsRefused && CountOf(state, client) >= Limit ? state : null;
        }

        public override void AfterRound()
        {
            for (var client = 0; client < 3; client++)
            {
                Assert.Equal(_inside.Sum(inside => inside.Count(one => one.Client == client)), _clients.CountOfClient((ulong)(client + 1) << 44));
            }
        }

        private static int CountOf(State state, int client) => client == 0 ? state.First : client == 1 ? state.Second : state.Third;

        private static State With(State state, int client, int count) =>
            client == 0 ? state with { First = count } : client == 1 ? state with { Second = count } : state with { Third = count };
    }
}
