//! Metric providers: build the request, read the answer. Sending sits behind one narrow trait.
