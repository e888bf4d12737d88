"""The built-in broker's own process: a supervised Mosquitto, and the front that devices connect to."""

from app.broker.config import BrokerConfigError
from app.broker.process import broker_config, run_broker
from app.broker.rundir import BrokerError, mosquitto_socket, run_directory
from app.broker.supervisor import Broker

__all__ = ["Broker", "BrokerConfigError", "BrokerError", "broker_config", "mosquitto_socket", "run_broker", "run_directory"]
