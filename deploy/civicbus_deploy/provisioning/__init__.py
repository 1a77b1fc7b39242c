"""Provisioning: from a nation's files to topics, users, grants, schemas and the policy."""

from civicbus_deploy.provisioning.app import ProvisioningReport, provision

__all__ = ["ProvisioningReport", "provision"]
