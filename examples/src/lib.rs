//! tidemill-examples
