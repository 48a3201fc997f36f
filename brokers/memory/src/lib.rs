//! tidemill-memory
