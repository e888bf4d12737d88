"""Each device's own voice."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("devices", sa.Column("voice", sa.String(64), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("devices", "voice")
