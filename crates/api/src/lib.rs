//! The five resource kinds, their names, defaults, validation and schemas. No I/O.
