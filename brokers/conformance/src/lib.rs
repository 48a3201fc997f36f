//! tidemill-conformance
