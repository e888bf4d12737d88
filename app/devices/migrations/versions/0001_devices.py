"""Devices, their activations, and the keys of their serial numbers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "devices",
        sa.Column("device_id", sa.String(17), primary_key=True),
        *(
            sa.Column(name, sa.String(size), nullable=False, server_default="")
            for name, size in (
                ("client_id", 64),
                ("board", 64),
                ("version", 64),
                ("chip", 64),
                ("language", 64),
                ("group_name", 64),
                ("reached", 255),
            )
        ),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.Column("last_seen", sa.BigInteger, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("transport", sa.String(16), nullable=False, server_default="auto"),
        sa.Column("name", sa.String(64), nullable=False, server_default=""),
        sa.Column("serial", sa.String(64), nullable=False, server_default=""),
        sa.Column("changed_at", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.create_index("devices_changed_at", "devices", ["changed_at"])
    op.create_index("devices_last_seen", "devices", ["last_seen"])
    op.create_table(
        "activations",
        sa.Column("code", sa.String(6), primary_key=True),
        sa.Column("device_id", sa.String(17), nullable=False, unique=True),
        sa.Column("challenge", sa.String(36), nullable=False),
        sa.Column("serial", sa.String(64), nullable=False, server_default=""),
        sa.Column("bound", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("activations_expires_at", "activations", ["expires_at"])
    op.create_table(
        "serials",
        sa.Column("serial", sa.String(64), primary_key=True),
        sa.Column("key_hex", sa.String(128), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("serials")
    op.drop_table("activations")
    op.drop_table("devices")
