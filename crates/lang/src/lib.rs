//! The small languages users write in manifests: conditions, JSONPath, argument placeholders.
