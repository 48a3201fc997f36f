//! tidemill-e2e
