use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listener {
    /// A unix socket, readable by its owner only.
    Unix(PathBuf),
    /// A TCP address. Without TLS only loopback makes sense, and only that is given by [`Listener::parse_urls`].
    Tcp {
        /// Address; port 0 lets the system choose.
        addr: SocketAddr,
        /// Certificates, for both sides.
        tls: Option<TlsFiles>,
    },
}

/// PEM files for TLS. They are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate, with its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who signs the certificates that clients must show.
    pub client_ca: PathBuf,
}

/// What is wrong with `--listen-client-urls` and the flags around it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Not a URL that can be listened on.
    #[error("cannot listen on {0:?}: expected http://ADDRESS:PORT, https://ADDRESS:PORT or unix:///PATH")]
    BadUrl(String),
    /// Plain text where others could read it.
    #[error(
        "{0}: plain http is for loopback addresses only; use https with --cert-file, --key-file and --trusted-ca-file"
    )]
    PlainNotLoopback(String),
    /// Certificates are missing.
    #[error(
        "{0}: https needs --cert-file, --key-file and --trusted-ca-file (clients must show certificates)"
    )]
    MissingTls(String),
    /// No URL at all.
    #[error("no URL to listen on")]
    Empty,
}

impl Listener {
    /// Reads etcd's `--listen-client-urls`: comma-separated `http://` (loopback only), `https://` (needs `tls`) and
    /// `unix://` URLs.
    ///
    /// # Errors
    /// The first URL that cannot or must not be listened on.
    pub fn parse_urls(urls: &str, tls: Option<&TlsFiles>) -> Result<Vec<Self>, ListenError> {
        let listeners = Self::parse_all(urls, tls, false)?;
        if listeners.is_empty() { Err(ListenError::Empty) } else { Ok(listeners) }
    }

    /// Reads etcd's `--listen-metrics-urls`: as [`Listener::parse_urls`], but there may be none, and plain `http://` may be
    /// on any address, for no key or value is on those pages.
    ///
    /// # Errors
    /// The first URL that cannot be listened on.
    pub fn parse_metrics_urls(urls: &str, tls: Option<&TlsFiles>) -> Result<Vec<Self>, ListenError> {
        Self::parse_all(urls, tls, true)
    }

    fn parse_all(urls: &str, tls: Option<&TlsFiles>, plain: bool) -> Result<Vec<Self>, ListenError> {
        let urls = urls.split(',').map(str::trim).filter(|url| !url.is_empty());
        urls.map(|url| Self::parse(url, tls, plain)).collect()
    }

    fn parse(url: &str, tls: Option<&TlsFiles>, plain: bool) -> Result<Self, ListenError> {
        let bad = || ListenError::BadUrl(url.to_owned());
        if let Some(path) = url.strip_prefix("unix://") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(bad()) };
        }
        let (secure, authority) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(authority), _) => (false, authority),
            (_, Some(authority)) => (true, authority),
            _ => return Err(bad()),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let addr = match authority.strip_prefix("localhost:") {
            Some(port) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().map_err(|_| bad())?),
            None => authority.parse().map_err(|_| bad())?,
        };
        match (secure, tls) {
            (true, Some(tls)) => Ok(Self::Tcp { addr, tls: Some(tls.clone()) }),
            (true, None) => Err(ListenError::MissingTls(url.to_owned())),
            (false, _) if plain || addr.ip().is_loopback() => Ok(Self::Tcp { addr, tls: None }),
            (false, _) => Err(ListenError::PlainNotLoopback(url.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_for_loopback_only() {
        let local = Listener::parse_urls("http://127.0.0.1:2379,http://[::1]:2379, http://localhost:1", None);
        assert_eq!(local.map(|listeners| listeners.len()), Ok(3));
        for url in ["http://0.0.0.0:2379", "http://192.0.2.1:2379", "http://[::]:2379"] {
            assert_eq!(Listener::parse_urls(url, None), Err(ListenError::PlainNotLoopback(url.to_owned())));
        }
    }

    #[test]
    fn metrics_may_be_plain_anywhere() {
        let anywhere = Listener::Tcp { addr: ([0, 0, 0, 0], 2381).into(), tls: None };
        assert_eq!(Listener::parse_metrics_urls("http://0.0.0.0:2381", None), Ok(vec![anywhere]));
        assert_eq!(Listener::parse_metrics_urls("", None), Ok(Vec::new()));
        let missing = ListenError::MissingTls("https://0.0.0.0:1".to_owned());
        assert_eq!(Listener::parse_metrics_urls("https://0.0.0.0:1", None), Err(missing));
    }

    #[test]
    fn https_needs_certificates_of_both_sides() {
        let url = "https://0.0.0.0:2379";
        assert_eq!(Listener::parse_urls(url, None), Err(ListenError::MissingTls(url.to_owned())));
        let tls = TlsFiles { cert: "c".into(), key: "k".into(), client_ca: "a".into() };
        let expected = Listener::Tcp { addr: ([0, 0, 0, 0], 2379).into(), tls: Some(tls.clone()) };
        assert_eq!(Listener::parse_urls(url, Some(&tls)), Ok(vec![expected]));
    }

    #[test]
    fn nonsense_is_refused_with_the_url_in_the_text() {
        for url in
            ["127.0.0.1:2379", "http://127.0.0.1", "http://host:2379", "unix://relative", "ftp://127.0.0.1:1"]
        {
            assert_eq!(Listener::parse_urls(url, None), Err(ListenError::BadUrl(url.to_owned())));
        }
        assert_eq!(Listener::parse_urls(" ,", None), Err(ListenError::Empty));
    }
}
