//! Intel's service on this machine, answering with recorded collateral.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

pub(crate) struct Service {
    url: String,
    requests: Arc<AtomicUsize>,
}

impl Service {
    /// Serves until the test's process ends.
    pub(crate) fn start(recorded: &[u8]) -> Self {
        let recorded: Value = serde_json::from_slice(recorded).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                answer(&stream.unwrap(), &recorded);
            }
        });
        Self { url, requests }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn answer(mut stream: &TcpStream, recorded: &Value) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let request = lines.next().unwrap_or_default();
    lines.for_each(drop);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let text = |name: &str| recorded[name].as_str().unwrap();
    let signed = |name: &str, document: &str| {
        format!(
            "{{\"{name}\":{},\"signature\":\"{}\"}}",
            text(document),
            bytes(&recorded[&format!("{document}_signature")])
        )
    };
    let found = match path {
        path if path.starts_with("/tdx/certification/v4/tcb?fmspc=") => {
            Some(("TCB-Info-Issuer-Chain", "tcb_info_issuer_chain", signed("tcbInfo", "tcb_info")))
        }
        "/tdx/certification/v4/qe/identity" => Some((
            "SGX-Enclave-Identity-Issuer-Chain",
            "qe_identity_issuer_chain",
            signed("enclaveIdentity", "qe_identity"),
        )),
        path if path.starts_with("/sgx/certification/v4/pckcrl?ca=") => {
            Some(("SGX-PCK-CRL-Issuer-Chain", "pck_crl_issuer_chain", bytes(&recorded["pck_crl"])))
        }
        "/sgx/certification/v4/rootcacrl" => {
            Some(("X-None", "pck_crl_issuer_chain", bytes(&recorded["root_ca_crl"])))
        }
        _ => None,
    };
    let response = match found {
        Some((header, chain, body)) => format!(
            "HTTP/1.1 200 OK\r\n{header}: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            percent_encoded(text(chain)),
            body.len()
        ),
        None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
    };
    stream.write_all(response.as_bytes()).unwrap();
}

/// Hexadecimal of a byte string in JSON, whichever way it is written there.
fn bytes(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => hex::encode(serde_json::from_value::<Vec<u8>>(other.clone()).unwrap()),
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
        encoded
    })
}
