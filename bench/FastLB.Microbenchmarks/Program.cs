using System.Reflection;
using BenchmarkDotNet.Running;
using FastLB.Microbenchmarks;

if (args is ["shared-nothing"])
{
    SharedNothing.Print(Console.Out);
}
else
{
    BenchmarkSwitcher.FromAssembly(Assembly.GetExecutingAssembly()).Run(args);
}
