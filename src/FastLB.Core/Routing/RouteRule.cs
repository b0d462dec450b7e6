namespace FastLB.Core.Routing;

/// <summary>One line of a listener's <c>routes</c>. A condition that is null always holds.</summary>
/// <param name="Host">A host name without a port, or <c>*.example.com</c> for every name below it; case does not matter.</param>
/// <param name="PathPrefix">What the path starts with, as bytes; <c>/v1/</c> matches <c>/v1/x</c>, not <c>/v10</c>.</param>
/// <param name="PoolName">The pool that answers.</param>
public sealed record RouteRule(string? Host, string? PathPrefix, string PoolName);
