//! `MovePackageService`: packages as they were published, and what is in them.

use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::move_package_service_server::MovePackageService;
use sui_sdk_types::{Address, Identifier, MovePackage, ObjectData};
use tonic::{Request, Response, Status};

use super::descriptor::Describe;
use super::{Api, parse};
use crate::ledger::{Ledger, ObjectSource};
use crate::ptb::original_id;
use crate::vm::describe;

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

    async fn get_datatype(
        &self,
        request: Request<proto::GetDatatypeRequest>,
    ) -> Result<Response<proto::GetDatatypeResponse>, Status> {
        let request = request.into_inner();
        let id = parse::address("package_id", request.package_id.as_deref())?;
        let mut response = proto::GetDatatypeResponse::default();
        {
            let ledger = self.node.ledger();
            let (module, declared) = declared(&ledger, &id, request.module_name.as_deref())?;
            let found =
                declared.datatypes.iter().find(|found| Some(found.name.as_str()) == request.name.as_deref());
            let found = found.ok_or_else(|| missing("datatype", &request.name))?;
            response.datatype = Some(Describe::new(&ledger, id).datatype(&module, found));
        }
        Ok(self.respond(response))
    }

    async fn get_function(
        &self,
        request: Request<proto::GetFunctionRequest>,
    ) -> Result<Response<proto::GetFunctionResponse>, Status> {
        let request = request.into_inner();
        let id = parse::address("package_id", request.package_id.as_deref())?;
        let mut response = proto::GetFunctionResponse::default();
        {
            let ledger = self.node.ledger();
            let (_, declared) = declared(&ledger, &id, request.module_name.as_deref())?;
            let found =
                declared.functions.iter().find(|found| Some(found.name.as_str()) == request.name.as_deref());
            let found = found.ok_or_else(|| missing("function", &request.name))?;
            response.function = Some(Describe::new(&ledger, id).function(found));
        }
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

/// What a module of a package declares.
fn declared(
    ledger: &Ledger,
    id: &Address,
    module: Option<&str>,
) -> Result<(Identifier, describe::Declared), Status> {
    let package = package(ledger, id)?;
    let module = module.unwrap_or_default();
    let found = package.modules.iter().find(|(name, _)| name.as_str() == module);
    let (name, bytes) =
        found.ok_or_else(|| Status::not_found(format!("package {id} has no module {module:?}")))?;
    let declared = describe::declared(bytes).map_err(|error| Status::internal(error.to_string()))?;
    Ok((name.clone(), declared))
}

fn missing(what: &str, name: &Option<String>) -> Status {
    Status::not_found(format!("the module has no {what} {:?}", name.as_deref().unwrap_or_default()))
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
