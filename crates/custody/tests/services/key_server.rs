//! A key server of Seal for tests, SIMULATED: it checks what Seal's documents say that a server checks (certificate, request, program, and
//! `seal_approve` as the chain executes it) before it gives a key, and misbehaves when it is told to. Its arithmetic is its own.
#![allow(dead_code, unreachable_pub, reason = "tests of custody and of the binary use it, each some of it")]

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blstrs::{G1Affine, G1Projective, G2Affine, Scalar};
use chain::sui::{
    Argument, Command, GasPayment, Input, MoveCall, Owner, PersonalMessage, ProgrammableTransaction,
    Transaction, TransactionExpiration, TransactionKind, UserSignature,
};
use chain::{Address, Client, Draft, Keypair};
use ed25519_dalek::{Signature, VerifyingKey};
use group::Curve;
use group::prime::PrimeCurveAffine;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use sui_crypto::{SuiVerifier, UserSignatureVerifier};
use sui_rpc::proto::sui::rpc::v2 as proto;

const SUITE: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
const MAX_TTL_MIN: u64 = 30;

/// What it does when it is asked for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Honest,
    /// A key of another master key, well encrypted.
    WrongKey,
    /// No JSON.
    Nonsense,
    /// 403, whoever asks.
    Refusing,
    /// 503.
    Failing,
    /// Never answers.
    Silent,
}

pub struct SimulatedKeyServer {
    master: Scalar,
    /// The object, once it is registered on chain.
    object: Mutex<Address>,
    chain_url: String,
    package: Address,
    mood: Mutex<Mood>,
    /// Why it refused, and what it gave: `given`.
    said: Mutex<Vec<&'static str>>,
}

type Refusal = (&'static str, String);

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn hash(tag: &[u8], parts: &[&[u8]]) -> G1Projective {
    G1Projective::hash_to_curve(&[tag, &parts.concat()].concat(), SUITE, &[])
}

fn decoded(what: &'static str, text: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD.decode(text).map_err(|_| ("InvalidPTB", format!("{what} is not base64")))
}

#[derive(Deserialize)]
struct Request {
    ptb: String,
    enc_key: String,
    enc_verification_key: String,
    request_signature: String,
    certificate: Certificate,
}

#[derive(Deserialize)]
struct Certificate {
    user: Address,
    session_vk: String,
    creation_time: u64,
    ttl_min: u64,
    signature: String,
    mvr_name: Option<String>,
}

#[derive(serde::Serialize)]
struct Signed {
    ptb: Vec<u8>,
    enc_key: Vec<u8>,
    enc_verification_key: Vec<u8>,
}

impl SimulatedKeyServer {
    /// Gives keys for identities of `package`, as the chain at `chain_url` approves. `seed` makes its master key.
    pub fn new(seed: u8, package: Address, chain_url: &str) -> Arc<Self> {
        Arc::new(Self {
            master: Scalar::from_bytes_be(&[seed; 32]).unwrap(),
            object: Mutex::new(Address::ZERO),
            chain_url: chain_url.to_owned(),
            package,
            mood: Mutex::new(Mood::Honest),
            said: Mutex::new(Vec::new()),
        })
    }

    pub fn be(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    /// What it said since this was asked last.
    pub fn said(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.said.lock())
    }

    pub fn object(&self) -> Address {
        *self.object.lock()
    }

    pub fn public_key(&self) -> [u8; 96] {
        (G2Affine::generator() * self.master).to_affine().to_compressed()
    }

    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/v1/service", get(service))
            .route("/v1/fetch_key", post(fetch_key))
            .with_state(self.clone())
    }

    /// Registers it as Seal's package does, by a package that stands in for it.
    pub async fn register(&self, client: &Client, payer: &Keypair, package: Address, name: &str, url: &str) {
        let mut draft = Draft::new();
        let arguments = vec![
            draft.pure(name),
            draft.pure(url),
            draft.pure(&0u8),
            draft.pure(&self.public_key().to_vec()),
        ];
        draft.call(package, "key_server", "register", vec![], arguments);
        let receipt = client.execute(payer, &draft).await.unwrap();
        let made = receipt.created().into_iter().find(|made| matches!(made.owner, Owner::Shared(_)));
        *self.object.lock() = made.unwrap().id;
    }

    fn possession(&self) -> [u8; 48] {
        let object = self.object().into_inner();
        let said = hash(b"SUI-SEAL-IBE-BLS12381-POP-00", &[&self.public_key(), &object]);
        (said * self.master).to_affine().to_compressed()
    }

    async fn judge(&self, request: &Request) -> Result<(Vec<u8>, [[u8; 48]; 2]), Refusal> {
        let bytes = decoded("ptb", &request.ptb)?;
        let program: ProgrammableTransaction =
            bcs::from_bytes(&bytes).map_err(|_| ("InvalidPTB", "Invalid BCS".to_owned()))?;
        let id = self.check_program(&program)?;
        self.check_certificate(&request.certificate)?;
        let enc_key = decoded("enc_key", &request.enc_key)?;
        let session = decoded("session_vk", &request.certificate.session_vk)?;
        let signed = Signed {
            ptb: bytes,
            enc_key: enc_key.clone(),
            enc_verification_key: decoded("enc_verification_key", &request.enc_verification_key)?,
        };
        let signature = decoded("request_signature", &request.request_signature)?;
        let wrong = || ("InvalidSessionSignature", "Invalid session key signature".to_owned());
        let key = VerifyingKey::from_bytes(&session.try_into().map_err(|_| wrong())?).map_err(|_| wrong())?;
        let signature = Signature::from_slice(&signature).map_err(|_| wrong())?;
        key.verify_strict(&bcs::to_bytes(&signed).unwrap(), &signature).map_err(|_| wrong())?;
        self.try_program(program, request.certificate.user).await?;
        let full = [self.package.as_bytes(), &id].concat();
        let master =
            if *self.mood.lock() == Mood::WrongKey { self.master + Scalar::from(1) } else { self.master };
        let derived = hash(b"SUI-SEAL-IBE-BLS12381-00", &[&full]) * master;
        let to = G1Affine::from_compressed(&enc_key.try_into().map_err(|_| wrong())?);
        let to = Option::<G1Affine>::from(to).ok_or_else(wrong)?;
        // Of a test: a secret that is new for each answer, and no better than the time.
        let random = Scalar::from(now_ms()) * Scalar::from(u64::from(full[40]) + 3);
        let encrypted = [G1Affine::generator() * random, derived + to * random];
        Ok((full, encrypted.map(|point| point.to_affine().to_compressed())))
    }

    /// Calls of `seal_approve…` of one package, on plain inputs, the first of which is the identity.
    fn check_program(&self, program: &ProgrammableTransaction) -> Result<Vec<u8>, Refusal> {
        let wrong = |what: &str| Err(("InvalidPTB", format!("Invalid PTB: {what}")));
        let [Command::MoveCall(MoveCall { package, function, arguments, .. })] = &program.commands[..] else {
            return wrong("one call");
        };
        if *package != self.package {
            return Err(("InvalidPackage", "Invalid package ID".to_owned()));
        }
        if !function.as_str().starts_with("seal_approve") {
            return wrong("function");
        }
        if !arguments.iter().all(|argument| matches!(argument, Argument::Input(_))) {
            return wrong("argument");
        }
        let Some(Argument::Input(first)) = arguments.first() else { return wrong("no identity") };
        let Some(Input::Pure(id)) = program.inputs.get(usize::from(*first)) else {
            return wrong("no identity");
        };
        bcs::from_bytes(id).or_else(|_| wrong("identity"))
    }

    fn check_certificate(&self, certificate: &Certificate) -> Result<(), Refusal> {
        let invalid = || Err(("InvalidCertificate", "Invalid certificate time or ttl".to_owned()));
        let now = now_ms();
        if certificate.ttl_min > MAX_TTL_MIN || certificate.creation_time > now {
            return invalid();
        }
        if now - certificate.creation_time > certificate.ttl_min * 60_000 || certificate.mvr_name.is_some() {
            return invalid();
        }
        let at =
            time::OffsetDateTime::from_unix_timestamp((certificate.creation_time / 1000) as i64).unwrap();
        let form = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
        let message = format!(
            "Accessing keys of package {} for {} mins from {}, session key {}",
            self.package,
            certificate.ttl_min,
            at.format(form).unwrap(),
            certificate.session_vk
        );
        let wrong = || ("InvalidSignature", "Invalid user signature".to_owned());
        let signature = UserSignature::from_base64(&certificate.signature).map_err(|_| wrong())?;
        let UserSignature::Simple(chain::sui::SimpleSignature::Ed25519 { public_key, .. }) = &signature
        else {
            return Err(wrong());
        };
        if public_key.derive_address() != certificate.user {
            return Err(wrong());
        }
        let message = PersonalMessage(message.into_bytes().into());
        let verifier = UserSignatureVerifier::new();
        verifier.verify_personal_message(&message, &signature).map_err(|_| wrong())
    }

    /// Tries the program as `sender` on the chain; nobody pays.
    async fn try_program(&self, program: ProgrammableTransaction, sender: Address) -> Result<(), Refusal> {
        let transaction = Transaction {
            kind: TransactionKind::ProgrammableTransaction(program),
            sender,
            gas_payment: GasPayment { objects: Vec::new(), owner: sender, price: 1_000, budget: 500_000_000 },
            expiration: TransactionExpiration::None,
        };
        let transaction = proto::Transaction::from(transaction);
        let request = proto::SimulateTransactionRequest::new(transaction);
        let mut client = sui_rpc::Client::new(self.chain_url.as_str()).unwrap();
        let answer = client.execution_client().simulate_transaction(request).await;
        let answer = answer.map_err(|status| ("InvalidParameter", status.to_string()))?.into_inner();
        let status = answer.transaction().effects().status().clone();
        if status.success() {
            return Ok(());
        }
        Err(("NoAccess", format!("Access denied: {:?}", status.error().description_opt())))
    }
}

async fn service(
    State(server): State<Arc<SimulatedKeyServer>>,
    Query(query): Query<std::collections::HashMap<String, String>>,
) -> Response {
    let object = server.object();
    if query.get("service_id").and_then(|id| id.parse().ok()) != Some(object) {
        return refuse(("InvalidServiceId", "Invalid service ID".to_owned()));
    }
    versioned(Json(json!({ "service_id": object.to_string(), "pop": STANDARD.encode(server.possession()) })))
}

async fn fetch_key(
    State(server): State<Arc<SimulatedKeyServer>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let mood = *server.mood.lock();
    match mood {
        Mood::Nonsense => return versioned("a key"),
        Mood::Failing => {
            return refuse(("Failure", "Internal server error, please try again later".to_owned()));
        }
        Mood::Refusing => return refuse(("NoAccess", "Access denied: no".to_owned())),
        Mood::Silent => return std::future::pending().await,
        Mood::Honest | Mood::WrongKey => {}
    }
    if !headers.contains_key("Client-Sdk-Version") {
        return refuse(("MissingRequiredHeader", "Missing required header: Client-Sdk-Version".to_owned()));
    }
    let Ok(request) = serde_json::from_str::<Request>(&body) else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    match server.judge(&request).await {
        Ok((id, encrypted)) => {
            server.said.lock().push("given");
            let encrypted: Vec<Value> = encrypted.iter().map(|point| STANDARD.encode(point).into()).collect();
            versioned(Json(json!({ "decryption_keys": [{ "id": id, "encrypted_key": encrypted }] })))
        }
        Err(refusal) => {
            server.said.lock().push(refusal.0);
            refuse(refusal)
        }
    }
}

fn versioned(answer: impl IntoResponse) -> Response {
    ([("X-KeyServer-Version", "0.6.10")], answer).into_response()
}

fn refuse((error, message): Refusal) -> Response {
    let status = match error {
        "InvalidServiceId" | "MissingRequiredHeader" => StatusCode::BAD_REQUEST,
        "Failure" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::FORBIDDEN,
    };
    (status, versioned(Json(json!({ "error": error, "message": message })))).into_response()
}
