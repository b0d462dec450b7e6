// Each test runs whole programs on both cores; two at once would measure each other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
