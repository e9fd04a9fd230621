"""The HTTP side: routes, middleware, problem details."""
