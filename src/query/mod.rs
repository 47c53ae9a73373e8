//! The filter language over the registry of named fields, and find.
