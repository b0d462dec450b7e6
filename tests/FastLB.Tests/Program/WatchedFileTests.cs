namespace FastLB.Tests.Programs;

public sealed class WatchedFileTests
{
    private const int Looks = WatchedFile.LooksBeforeRetry;

    [Fact]
    public void A_file_that_stays_is_no_news_and_one_that_changes_is_when_it_was_the_same_twice()
    {
        var file = new WatchedFile("a");
        Assert.All(Enumerable.Range(0, 3 * Looks), _ => Assert.Equal(FileNews.Nothing, file.Look("a", wasRefused: false)));
        Assert.Equal([FileNews.Nothing, FileNews.Nothing, FileNews.Changed, FileNews.Nothing], See(file, "b", "c", "c", "c"));
    }

    [Fact]
    public void A_file_that_is_gone_is_told_once_and_so_is_one_that_is_back()
    {
        var file = new WatchedFile("a");
        Assert.Equal([FileNews.Nothing, FileNews.Gone, FileNews.Nothing, FileNews.Nothing, FileNews.Back, FileNews.Nothing], See(file, null, null, null, "a", "a", "a"));
        Assert.Equal([FileNews.Nothing, FileNews.Gone, FileNews.Nothing, FileNews.Back, FileNews.Changed, FileNews.Nothing], See(file, null, null, "b", "b", "b", "b"));
    }

    [Fact]
    public void A_file_that_is_replaced_is_not_told_to_be_gone_for_a_moment()
    {
        var file = new WatchedFile("a");
        Assert.Equal([FileNews.Nothing, FileNews.Nothing, FileNews.Nothing], See(file, null, "a", "a"));
        Assert.Equal([FileNews.Nothing, FileNews.Nothing, FileNews.Changed], See(file, null, "b", "b"));
    }

    [Fact]
    public void What_was_refused_is_tried_again_from_time_to_time_until_it_is_served()
    {
        var file = new WatchedFile("a");
        Assert.Equal(FileNews.Changed, See(file, "b", "b")[^1]);
        for (var i = 0; i < 3; i++)
        {
            Assert.All(Enumerable.Range(0, Looks - 1), _ => Assert.Equal(FileNews.Nothing, file.Look("b", wasRefused: true)));
            Assert.Equal(FileNews.TryAgain, file.Look("b", wasRefused: true));
        }

        Assert.All(Enumerable.Range(0, 3 * Looks), _ => Assert.Equal(FileNews.Nothing, file.Look("b", wasRefused: false)));
    }

    private static FileNews[] See(WatchedFile file, params string?[] digests) => [.. digests.Select(digest => file.Look(digest, wasRefused: false))];
}
