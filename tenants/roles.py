"""Who may do what. Everybody in an organization sees its spend; acting on it takes a role. Pure."""

from enum import StrEnum


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    FINANCE = "finance"
    MANAGER = "manager"
    VIEWER = "viewer"


class Permission(StrEnum):
    VIEW = "view"
    ISSUE_KEYS = "issue_keys"
    EDIT_BUDGETS = "edit_budgets"
    EDIT_PRICES = "edit_prices"
    CLOSE_MONTHS = "close_months"
    EDIT_TEAMS = "edit_teams"
    IMPORT_USAGE = "import_usage"
    RECONCILE = "reconcile"
    EDIT_CHANNELS = "edit_channels"
    EDIT_MEMBERS = "edit_members"
    EDIT_ORGANIZATION = "edit_organization"


_GRANTS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.ADMIN: frozenset(Permission),
    Role.FINANCE: frozenset(
        {
            Permission.VIEW,
            Permission.EDIT_BUDGETS,
            Permission.EDIT_PRICES,
            Permission.CLOSE_MONTHS,
            Permission.EDIT_CHANNELS,
            Permission.IMPORT_USAGE,
            Permission.RECONCILE,
        }
    ),
    # A manager issues keys for the teams named in the membership and the teams below them, and for no other.
    Role.MANAGER: frozenset({Permission.VIEW, Permission.ISSUE_KEYS}),
    Role.VIEWER: frozenset({Permission.VIEW}),
}

# What each role may hand out: never more than it holds itself.
_MAY_GRANT: dict[Role, frozenset[Role]] = {
    Role.OWNER: frozenset(Role),
    Role.ADMIN: frozenset(Role) - {Role.OWNER},
}

# What an access token can be allowed to do, in the API's words.
SCOPES = frozenset(
    {
        "usage:write",
        "usage:read",
        "budgets:read",
        "budgets:write",
        "keys:read",
        "keys:write",
        "prices:read",
        "prices:write",
        "alerts:read",
        "alerts:write",
        "reconciliation:read",
        "reconciliation:write",
        "org:read",
        "org:write",
    }
)


def may(role: Role, permission: Permission) -> bool:
    return permission in _GRANTS[role]


def grantable(role: Role) -> frozenset[Role]:
    return _MAY_GRANT.get(role, frozenset())
