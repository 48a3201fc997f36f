//! tidemill-worker
