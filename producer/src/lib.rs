//! tidemill-producer
