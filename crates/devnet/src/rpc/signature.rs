//! `SignatureVerificationService`, for Ed25519.

use sui_crypto::SuiVerifier;
use sui_crypto::ed25519::Ed25519Verifier;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::signature_verification_service_server::SignatureVerificationService;
use sui_sdk_types::{PersonalMessage, SimpleSignature, Transaction, UserSignature};
use tonic::{Request, Response, Status};

use super::{Api, parse};

#[tonic::async_trait]
impl SignatureVerificationService for Api {
    async fn verify_signature(
        &self,
        request: Request<proto::VerifySignatureRequest>,
    ) -> Result<Response<proto::VerifySignatureResponse>, Status> {
        let request = request.into_inner();
        let message = request.message.ok_or_else(|| Status::invalid_argument("message is missing"))?;
        let signature = request.signature.ok_or_else(|| Status::invalid_argument("signature is missing"))?;
        let signature = UserSignature::try_from(&signature)
            .map_err(|error| Status::invalid_argument(format!("signature: {error}")))?;
        let mut response = proto::VerifySignatureResponse::default();
        match verify(&message, &signature, request.address.as_deref())? {
            Ok(()) => response.is_valid = Some(true),
            Err(reason) => {
                response.is_valid = Some(false);
                response.reason = Some(reason);
            }
        }
        Ok(self.respond(response))
    }
}

fn verify(
    message: &proto::Bcs,
    signature: &UserSignature,
    address: Option<&str>,
) -> Result<Result<(), String>, Status> {
    let UserSignature::Simple(simple @ SimpleSignature::Ed25519 { .. }) = signature else {
        return Ok(Err("only ed25519 is supported by the development chain".to_owned()));
    };
    if let Some(address) = address
        && parse::address("address", Some(address))? != simple.derive_address()
    {
        return Ok(Err("the signature is by another address".to_owned()));
    }
    let invalid = |error: bcs::Error| Status::invalid_argument(format!("message: {error}"));
    let verifier = Ed25519Verifier::new();
    let verified = match message.name.as_deref() {
        Some("PersonalMessage") => {
            let bytes: Vec<u8> = message.deserialize().map_err(invalid)?;
            verifier.verify_personal_message(&PersonalMessage(bytes.into()), signature)
        }
        Some("TransactionData" | "Transaction") => {
            let transaction: Transaction = message.deserialize().map_err(invalid)?;
            verifier.verify_transaction(&transaction, signature)
        }
        _ => {
            return Err(Status::invalid_argument("message.name must be PersonalMessage or TransactionData"));
        }
    };
    Ok(verified.map_err(|_| "the signature is wrong".to_owned()))
}
