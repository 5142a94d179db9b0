//! What Go does that users can see: durations, floats, times, quoting, quantities, hashes.
