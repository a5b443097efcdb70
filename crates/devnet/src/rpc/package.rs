//! `MovePackageService`: packages as they were published.

use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::move_package_service_server::MovePackageService;
use sui_sdk_types::{Address, MovePackage, ObjectData};
use tonic::{Request, Response, Status};

use super::{Api, parse};
use crate::ledger::{Ledger, ObjectSource};
use crate::ptb::original_id;

#[tonic::async_trait]
impl MovePackageService for Api {
    async fn get_package(
        &self,
        request: Request<proto::GetPackageRequest>,
    ) -> Result<Response<proto::GetPackageResponse>, Status> {
        let id = parse::address("package_id", request.get_ref().package_id.as_deref())?;
        let package = package(&self.node.ledger(), &id)?;
        let mut response = proto::GetPackageResponse::default();
        response.package = Some(describe(&package));
        Ok(self.respond(response))
    }

    async fn list_package_versions(
        &self,
        request: Request<proto::ListPackageVersionsRequest>,
    ) -> Result<Response<proto::ListPackageVersionsResponse>, Status> {
        let id = parse::address("package_id", request.get_ref().package_id.as_deref())?;
        let mut response = proto::ListPackageVersionsResponse::default();
        {
            let ledger = self.node.ledger();
            let original = original_id(&package(&ledger, &id)?);
            let mut versions: Vec<_> = ledger
                .objects()
                .iter()
                .filter_map(|stored| match stored.object().data() {
                    ObjectData::Package(package) if original_id(package) == original => {
                        Some((package.version, package.id))
                    }
                    _ => None,
                })
                .collect();
            versions.sort_unstable();
            response.versions = versions
                .into_iter()
                .map(|(version, id)| {
                    let mut entry = proto::PackageVersion::default();
                    entry.package_id = Some(id.to_string());
                    entry.version = Some(version);
                    entry
                })
                .collect();
        }
        Ok(self.respond(response))
    }
}

fn package(ledger: &Ledger, id: &Address) -> Result<MovePackage, Status> {
    let stored = ledger.objects().live(id);
    match stored.as_ref().map(|stored| stored.object().data()) {
        Some(ObjectData::Package(package)) => Ok(package.clone()),
        Some(_) => Err(Status::invalid_argument(format!("object {id} is not a package"))),
        None => Err(Status::not_found(format!("there is no package {id}"))),
    }
}

fn describe(package: &MovePackage) -> proto::Package {
    let mut message = proto::Package::default();
    message.storage_id = Some(package.id.to_string());
    message.original_id = Some(original_id(package).to_string());
    message.version = Some(package.version);
    message.modules = package
        .modules
        .iter()
        .map(|(name, contents)| {
            let mut module = proto::Module::default();
            module.name = Some(name.to_string());
            module.contents = Some(contents.clone().into());
            module
        })
        .collect();
    message.type_origins = package.type_origin_table.iter().cloned().map(Into::into).collect();
    message.linkage = package
        .linkage_table
        .iter()
        .map(|(original, upgraded)| {
            let mut linkage = proto::Linkage::default();
            linkage.original_id = Some(original.to_string());
            linkage.upgraded_id = Some(upgraded.upgraded_id.to_string());
            linkage.upgraded_version = Some(upgraded.upgraded_version);
            linkage
        })
        .collect();
    message
}
