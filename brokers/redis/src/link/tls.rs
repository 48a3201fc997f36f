//! TLS, by rustls.

mod trust;

use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::fault::Fault;
use super::wire::unreachable_at;
use crate::options::{Address, TlsOptions, Verification};

/// Speaks TLS on a connection. A certificate that is not trusted is refused with words.
pub(super) async fn wrap(
    stream: TcpStream,
    address: &Address,
    options: &TlsOptions,
) -> Result<TlsStream<TcpStream>, Fault> {
    let name = ServerName::try_from(address.host.clone())
        .map_err(|_| Fault::invalid(format!("{address} is not a name that TLS could verify")))?;
    let options = options.clone();
    let config = tokio::task::spawn_blocking(move || configuration(&options))
        .await
        .map_err(|_| Fault::unavailable("reading the certificates was interrupted"))??;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|error| refused(&error, address))
}

/// Reads the files. It is done for each connection, so that renewed certificates are used.
fn configuration(options: &TlsOptions) -> Result<ClientConfig, Fault> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::invalid(format!("TLS cannot be set up: {error}")))?;
    let builder = match options.verification {
        Verification::Full => builder.with_root_certificates(roots(options)?),
        Verification::None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust::Anyone::new())),
    };
    let Some((cert, key)) = &options.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable("cert", &error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable("key", &error))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| Fault::invalid(format!("cert and key do not fit: {error}")))
}

fn roots(options: &TlsOptions) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    let Some(ca) = &options.ca else {
        // One bad file among the system's certificates must not keep the others out.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(ca)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable("ca", &error))?;
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| Fault::invalid(format!("ca holds a wrong certificate: {error}")))?;
    }
    if roots.is_empty() {
        return Err(Fault::invalid(
            "the file that ca names holds no certificate",
        ));
    }
    Ok(roots)
}

fn unreadable(setting: &str, error: &rustls::pki_types::pem::Error) -> Fault {
    Fault::invalid(format!(
        "the file that {setting} names cannot be read: {error}"
    ))
}

fn refused(error: &io::Error, address: &Address) -> Fault {
    match error.get_ref().and_then(|e| e.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(why)) => Fault::setting(format!(
            "redis at {address} shows a certificate that is not trusted ({why}); name its CA with ca=FILE"
        )),
        Some(rustls::Error::AlertReceived(alert)) => refused_by(address, &format!("{alert:?}")),
        Some(rustls::Error::InvalidMessage(_)) => Fault::setting(format!(
            "redis at {address} does not speak TLS on this port; use redis://, or its tls-port"
        )),
        _ => unreachable_at(address, &error.to_string()),
    }
}

/// The server has ended the conversation with this alert.
pub(super) fn refused_by(address: &Address, alert: &str) -> Fault {
    Fault::setting(format!(
        "redis at {address} refuses TLS ({alert}); does it want another client certificate (cert=FILE, key=FILE)?"
    ))
}
