"""The devices of one board, found without looking at all: for counting how far a roll-out has come."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("devices_board", "devices", ["board", "device_id"])


def downgrade() -> None:
    op.drop_index("devices_board", "devices")
