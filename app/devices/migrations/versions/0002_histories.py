"""What was said with each device, and each device's own prompt."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "histories",
        sa.Column("device_id", sa.String(17), primary_key=True),
        sa.Column("messages", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("histories_updated_at", "histories", ["updated_at"])
    op.add_column("devices", sa.Column("prompt", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("devices", "prompt")
    op.drop_table("histories")
