//! Caches, gather, apply, queue, lease and events: the only code that talks to an API server for the controllers.
