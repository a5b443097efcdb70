use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use sui_crypto::{SuiVerifier as _, UserSignatureVerifier};
use sui_sdk_types::{Address, Transaction, UserSignature};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::{Error, Signer};

/// How long a program may take to sign: a person may have to look at a device and press its button.
const PATIENCE: Duration = Duration::from_secs(120);
/// A multisig of ten passkeys is a few KiB.
const MAX_ANSWER_BYTES: u64 = 64 << 10;
/// Intent of a Sui transaction: scope 0, version 0, application 0.
const INTENT: [u8; 3] = [0, 0, 0];

/// Signs with a program, so that the key never enters this process: a hardware wallet, a key service.
///
/// The protocol, once for each signature:
/// - the program is started with the arguments given, without a shell, and with the environment variable
///   `SUI_ADDRESS`, the address to sign for;
/// - its stdin is the message to be signed: the three intent bytes 0 0 0 and the transaction's BCS form.
///   As Sui defines it, what the key signs is the blake2b-256 hash of that;
/// - its stdout is the serialized signature in base64 (flag ‖ signature ‖ public key), on one line, which
///   is what `sui keytool sign` calls `suiSignature`; its stderr goes to our stderr;
/// - it ends with status 0 within two minutes.
///
/// The signature is verified before it is used, so a program cannot make a transaction fail on chain.
#[derive(Clone, Debug)]
pub struct ExternalSigner {
    address: Address,
    program: PathBuf,
    arguments: Vec<String>,
}

impl ExternalSigner {
    /// Signs for `address` with `program`.
    pub fn new(address: Address, program: impl Into<PathBuf>, arguments: Vec<String>) -> ExternalSigner {
        ExternalSigner { address, program: program.into(), arguments }
    }

    async fn ask(&self, message: &[u8]) -> Result<String, String> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env("SUI_ADDRESS", self.address.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("it cannot be started: {error}"))?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("it has no stdin or stdout".to_owned());
        };
        let write = async {
            // A program that does not read to the end is judged by its answer.
            let _ = stdin.write_all(message).await;
            drop(stdin);
        };
        let mut answer = Vec::new();
        let mut stdout = stdout.take(MAX_ANSWER_BYTES);
        let read = stdout.read_to_end(&mut answer);
        let ((), read) = tokio::join!(write, read);
        read.map_err(|error| format!("its answer cannot be read: {error}"))?;
        let status = child.wait().await.map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(format!("it ended with {status}"));
        }
        String::from_utf8(answer).map_err(|_| "its answer is no text".to_owned())
    }
}

impl Signer for ExternalSigner {
    fn address(&self) -> Address {
        self.address
    }

    fn sign_transaction<'a>(
        &'a self,
        transaction: &'a Transaction,
    ) -> BoxFuture<'a, Result<UserSignature, Error>> {
        Box::pin(async move {
            let failed = |reason: String| Error::Signer {
                address: self.address,
                reason: format!("{}: {reason}", self.program.display()),
            };
            let mut message = INTENT.to_vec();
            message.extend(bcs::to_bytes(transaction).map_err(|error| Error::Build(error.to_string()))?);
            let answer = tokio::time::timeout(PATIENCE, self.ask(&message))
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
                .map_err(failed)?;
            let bytes = STANDARD
                .decode(answer.trim())
                .map_err(|_| failed("its answer is not one line of base64".to_owned()))?;
            let signature = UserSignature::from_bytes(&bytes)
                .map_err(|_| failed("its answer is no serialized Sui signature".to_owned()))?;
            if signed_by(&signature) != Some(self.address) {
                return Err(failed(format!("it signed for another address than {}", self.address)));
            }
            UserSignatureVerifier::new()
                .verify_transaction(transaction, &signature)
                .map_err(|_| failed("its signature does not fit the transaction".to_owned()))?;
            Ok(signature)
        })
    }
}

/// The address that a signature is by, for the schemes that can be verified here.
fn signed_by(signature: &UserSignature) -> Option<Address> {
    match signature {
        UserSignature::Simple(simple) => Some(simple.derive_address()),
        UserSignature::Multisig(multisig) => Some(multisig.committee().derive_address()),
        _ => None,
    }
}
